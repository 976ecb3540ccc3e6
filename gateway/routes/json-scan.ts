// Walks over JSON bytes: whether they are JSON, where the members of an object stand, and how many items a list has.
import { GatewayError } from '../errors.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const SPACE = 0x20
const MINUS = 0x2d
const PLUS = 0x2b
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const LOWER_E = 0x65
const LOWER_U = 0x75

const [TRUE, FALSE, NULL] = ['true', 'false', 'null'].map((word) => Buffer.from(word)) as [Buffer, Buffer, Buffer]
/** 1 for each byte that may stand behind a backslash. */
const ESCAPABLE = new Uint8Array(256)
for (const byte of Buffer.from('"\\/bfnrtu')) ESCAPABLE[byte] = 1

/** 1 for each byte of a string that stands for itself. */
const PLAIN = new Uint8Array(256).fill(1, SPACE)
PLAIN[QUOTE] = PLAIN[BACKSLASH] = 0

/** No request of any API nests deeper, JSON schemas of tools included; parsing a million levels takes seconds. */
const MAX_DEPTH = 256
/** No request of any API has more fields. */
const MAX_MEMBERS = 1_000

/** What a walk ends with where it does not end behind a value. */
const NO_JSON = -1
const TOO_DEEP = -2

/** One member of an object: where its key with its quotes, its value and its end are. */
export interface Member {
  readonly start: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly end: number
  /** The key, where it is not spelt plainly; undefined where its bytes are the key. */
  readonly key: string | undefined
}

/**
 * The members of the object in `bytes`, in their order; undefined where that is no JSON (RFC 8259, and what `JSON.parse`
 * takes). Throws `invalid_json` for another value than an object, and for more depth or members than any request has, which
 * is seen at once where a parser would take seconds; `what` is how the client knows these bytes.
 */
export function scanObject(bytes: Buffer, what: string): Member[] | undefined {
  const members: Member[] = []
  const start = skipSpace(bytes, 0)
  const isObject = bytes[start] === OPEN_BRACE
  const end = isObject ? skipMembers(bytes, start, 1, members) : skipValue(bytes, start, 0)
  if (end === TOO_DEEP) refuse(`The ${what} is nested more than ${MAX_DEPTH} levels deep.`)
  if (members.length > MAX_MEMBERS) refuse(`The ${what} has more than ${MAX_MEMBERS} fields.`)
  if (end < 0 || skipSpace(bytes, end) !== bytes.length) return undefined
  if (!isObject) refuse(`The ${what} must be a JSON object.`)
  return members
}

function refuse(message: string): never {
  throw new GatewayError('invalid_json', { message })
}

function skipSpace(bytes: Buffer, at: number): number {
  let i = at
  for (let byte = bytes[i]; byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = bytes[i]) i++
  return i
}

/** The index after the value that begins at `at`, or `NO_JSON`, or `TOO_DEEP`. */
function skipValue(bytes: Buffer, at: number, depth: number): number {
  const byte = bytes[at]
  if (byte === QUOTE) return skipString(bytes, at)
  if (byte === OPEN_BRACE) return skipMembers(bytes, at, depth + 1, undefined)
  if (byte === OPEN_BRACKET) return skipItems(bytes, at, depth + 1)
  if (byte === MINUS || isDigit(byte)) return skipNumber(bytes, at)
  const word = byte === TRUE[0] ? TRUE : byte === FALSE[0] ? FALSE : NULL
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return NO_JSON
  return at + word.length
}

/** As `skipValue`, of an object, whose members `found` gets. */
function skipMembers(bytes: Buffer, at: number, depth: number, found: Member[] | undefined): number {
  if (depth > MAX_DEPTH) return TOO_DEEP
  let start = skipSpace(bytes, at + 1)
  if (bytes[start] === CLOSE_BRACE) return start + 1
  for (;;) {
    if (bytes[start] !== QUOTE) return NO_JSON
    const keyEnd = skipString(bytes, start)
    if (keyEnd < 0) return keyEnd
    const colon = skipSpace(bytes, keyEnd)
    if (bytes[colon] !== COLON) return NO_JSON
    const valueStart = skipSpace(bytes, colon + 1)
    const end = skipValue(bytes, valueStart, depth)
    if (end < 0) return end
    if (found !== undefined) {
      found.push({ start, keyEnd, valueStart, end, key: readOddKey(bytes, start, keyEnd) })
      if (found.length > MAX_MEMBERS) return NO_JSON
    }
    const next = skipSpace(bytes, end)
    if (bytes[next] === CLOSE_BRACE) return next + 1
    if (bytes[next] !== COMMA) return NO_JSON
    start = skipSpace(bytes, next + 1)
  }
}

/** As `skipValue`, of a list. */
function skipItems(bytes: Buffer, at: number, depth: number): number {
  if (depth > MAX_DEPTH) return TOO_DEEP
  let start = skipSpace(bytes, at + 1)
  if (bytes[start] === CLOSE_BRACKET) return start + 1
  for (;;) {
    const end = skipValue(bytes, start, depth)
    if (end < 0) return end
    const next = skipSpace(bytes, end)
    if (bytes[next] === CLOSE_BRACKET) return next + 1
    if (bytes[next] !== COMMA) return NO_JSON
    start = skipSpace(bytes, next + 1)
  }
}

const isDigit = (byte: number | undefined) => byte !== undefined && byte >= ZERO && byte <= NINE

function skipDigits(bytes: Buffer, at: number): number {
  let i = at
  while (isDigit(bytes[i])) i++
  return i
}

function skipNumber(bytes: Buffer, at: number): number {
  const first = bytes[at] === MINUS ? at + 1 : at
  let end = bytes[first] === ZERO ? first + 1 : skipDigits(bytes, first)
  if (end === first) return NO_JSON
  if (bytes[end] === DOT) {
    const fraction = end + 1
    end = skipDigits(bytes, fraction)
    if (end === fraction) return NO_JSON
  }
  if (((bytes[end] ?? 0) | SPACE) !== LOWER_E) return end
  const sign = bytes[end + 1]
  const exponent = sign === PLUS || sign === MINUS ? end + 2 : end + 1
  end = skipDigits(bytes, exponent)
  return end === exponent ? NO_JSON : end
}

/** As `skipValue`, of a string. Bytes that are no UTF-8 pass: they become a character that stands for none. */
function skipString(bytes: Buffer, at: number): number {
  for (let i = at + 1; i < bytes.length; i++) {
    while (PLAIN[bytes[i] as number] === 1) i++
    const byte = bytes[i]
    if (byte === QUOTE) return i + 1
    if (byte !== BACKSLASH) return NO_JSON
    const escaped = bytes[++i]
    if (escaped === undefined || ESCAPABLE[escaped] !== 1) return NO_JSON
    if (escaped !== LOWER_U) continue
    for (let digit = 0; digit < 4; digit++) if (!isHex(bytes[++i])) return NO_JSON
  }
  return NO_JSON
}

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false
  const lower = byte | 0x20
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66)
}

/** A key that is more than its bytes: escapes, or other characters than ASCII; undefined for a plain one. */
function readOddKey(bytes: Buffer, start: number, end: number): string | undefined {
  for (let i = start + 1; i < end - 1; i++) {
    const byte = bytes[i] as number
    if (byte === BACKSLASH) return JSON.parse(bytes.toString('utf8', start, end))
    if (byte > 0x7e) return bytes.toString('utf8', start + 1, end - 1)
  }
  return undefined
}

/** Whether `name` is the key of a member of the object in `bytes`. */
export function isKey(bytes: Buffer, { start, keyEnd, key }: Member, name: string): boolean {
  if (key !== undefined) return key === name
  if (keyEnd - start !== name.length + 2) return false
  for (let i = 0; i < name.length; i++) if (bytes[start + 1 + i] !== name.charCodeAt(i)) return false
  return true
}

/**
 * How many items the list in `bytes` has, and the first byte of its first; undefined where `bytes` is no list. `bytes`
 * must be valid JSON.
 */
export function countItems(bytes: Buffer): { items: number; first: number } | undefined {
  if (bytes[0] !== OPEN_BRACKET) return undefined
  let at = skipSpace(bytes, 1)
  const first = bytes[at] ?? 0
  if (first === CLOSE_BRACKET) return { items: 0, first }
  let items = 1
  for (;;) {
    at = skipSpace(bytes, skipValue(bytes, at, 0))
    if (bytes[at] !== COMMA) return { items, first }
    items++
    at = skipSpace(bytes, at + 1)
  }
}
