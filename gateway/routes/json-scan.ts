// Walks over JSON bytes without parsing them: where the members of an object stand, and how many items a list has.
import { GatewayError } from '../errors.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** No request of any API nests deeper, JSON schemas of tools included; parsing a million levels takes seconds. */
const MAX_DEPTH = 256
/** No request of any API has more fields. */
const MAX_MEMBERS = 1_000

/** One member of an object: where its key, its value and its end are. */
export interface Member {
  readonly key: string
  readonly start: number
  readonly valueStart: number
  readonly end: number
}

const isSpace = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/**
 * The members of the object in `bytes`, in their order. Bytes that are no JSON give some members or none: whoever relies
 * on them parses as well. Throws `invalid_json` for more depth or members than any request has; `what` is how the client
 * knows these bytes.
 */
export function scanObject(bytes: Buffer, what: string): Member[] {
  const members: Member[] = []
  let depth = 0
  let start = -1
  let keyEnd = -1
  let colon = -1
  const finish = (at: number) => {
    if (start !== -1 && colon !== -1) members.push(toMember(bytes, start, keyEnd, colon + 1, at))
    if (members.length > MAX_MEMBERS) refuse(`The ${what} has more than ${MAX_MEMBERS} fields.`)
    start = keyEnd = colon = -1
  }
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) {
      const end = skipString(bytes, i)
      if (depth === 1 && start === -1) {
        start = i
        keyEnd = end
      }
      i = end - 1
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth > MAX_DEPTH) refuse(`The ${what} is nested more than ${MAX_DEPTH} levels deep.`)
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (depth === 1) finish(i)
      depth--
    } else if (depth === 1 && byte === COMMA) finish(i)
    else if (depth === 1 && byte === COLON && colon === -1) colon = i
  }
  return members
}

function refuse(message: string): never {
  throw new GatewayError('invalid_json', { message })
}

function toMember(bytes: Buffer, start: number, keyEnd: number, valueFrom: number, at: number): Member {
  let valueStart = valueFrom
  let end = at
  while (isSpace(bytes[valueStart])) valueStart++
  while (end > valueStart && isSpace(bytes[end - 1])) end--
  return { key: readKey(bytes.toString('utf8', start, keyEnd)), start, valueStart, end }
}

/** A key without its quotes; one that is no JSON stays as it is, for the parser to refuse. */
function readKey(quoted: string): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1)
  try {
    return JSON.parse(quoted)
  } catch {
    return quoted
  }
}

/** The index after the string that begins at `at`. */
function skipString(bytes: Buffer, at: number): number {
  let end = bytes.indexOf(QUOTE, at + 1)
  while (end !== -1 && isEscaped(bytes, end)) end = bytes.indexOf(QUOTE, end + 1)
  return end === -1 ? bytes.length : end + 1
}

function isEscaped(bytes: Buffer, at: number): boolean {
  let backslashes = 0
  while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++
  return backslashes % 2 === 1
}

/**
 * How many items the list in `bytes` has, and the first byte of its first; undefined where `bytes` is no list. `bytes`
 * must be valid JSON.
 */
export function countItems(bytes: Buffer): { items: number; first: number } | undefined {
  if (bytes[0] !== OPEN_BRACKET) return undefined
  let first = 1
  while (isSpace(bytes[first])) first++
  if (bytes[first] === CLOSE_BRACKET) return { items: 0, first: CLOSE_BRACKET }
  let items = 1
  let depth = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) i = skipString(bytes, i) - 1
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--
    else if (byte === COMMA && depth === 1) items++
  }
  return { items, first: bytes[first] ?? 0 }
}
