// A request body as bytes: read once, and changed in a few top-level fields while everything else stays as it was sent.
import { GatewayError } from '../errors.ts'
import { locateMistake } from '../json-mistake.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/**
 * The top-level fields of a body that must be a JSON object, all of them or those in `names`; of two with one name the
 * last. Throws `invalid_json` with the position of the first mistake.
 *
 * `JSON.parse` judges whether it is JSON, but is not asked for its keys: V8 reads a key that is spelt with escapes as
 * another one where an earlier object had that spelling as its key (`"\\u006e"` after `"\\\\u006e"`, seen in Node 24), and a
 * limit that the engine reads and we don't is no limit.
 */
export function parseJsonObject(bytes: Buffer, names?: ReadonlySet<string>): JsonObject {
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new GatewayError('invalid_json', { message: `The request body is not valid JSON: ${locateMistake(text)}.` })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GatewayError('invalid_json', { message: 'The request body must be a JSON object.' })
  }
  const fields: [string, unknown][] = []
  for (const { key, valueStart, end } of members(bytes)) {
    if (names?.has(key) ?? true) fields.push([key, JSON.parse(bytes.toString('utf8', valueStart, end))])
  }
  return Object.fromEntries(fields)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

const isSpace = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/**
 * The object in `bytes` with `fields` set at its front and every other mention of them removed, however its key was
 * spelt or repeated: parsers differ in which of two equal keys they believe. All other bytes stay: numbers keep digits
 * that JavaScript's would lose. `bytes` must be a valid JSON object.
 */
export function setFields(bytes: Buffer, fields: JsonObject): Buffer {
  const parts: Buffer[] = [Buffer.from(JSON.stringify(fields).slice(0, -1))]
  const separator = Buffer.from(',')
  let first = Object.keys(fields).length === 0
  for (const { key, start, end } of members(bytes)) {
    if (Object.hasOwn(fields, key)) continue
    if (!first) parts.push(separator)
    first = false
    parts.push(bytes.subarray(start, end))
  }
  parts.push(Buffer.from('}'))
  return Buffer.concat(parts)
}

interface Member {
  readonly key: string
  readonly start: number
  readonly valueStart: number
  readonly end: number
}

/** The members of the object in `bytes`: each from its key's quote to the end of its value. */
function* members(bytes: Buffer): Generator<Member> {
  let at = bytes.indexOf(OPEN_BRACE) + 1
  for (;;) {
    while (isSpace(bytes[at]) || bytes[at] === COMMA) at++
    if (bytes[at] !== QUOTE) return
    const start = at
    const keyEnd = skipString(bytes, at)
    const key: string = JSON.parse(bytes.toString('utf8', start, keyEnd))
    at = skipValue(bytes, keyEnd)
    let end = at
    while (isSpace(bytes[end - 1])) end--
    yield { key, start, valueStart: bytes.indexOf(COLON, keyEnd) + 1, end }
  }
}

/** The index after the string that begins at `at`. */
function skipString(bytes: Buffer, at: number): number {
  let end = bytes.indexOf(QUOTE, at + 1)
  while (isEscaped(bytes, end)) end = bytes.indexOf(QUOTE, end + 1)
  return end + 1
}

function isEscaped(bytes: Buffer, at: number): boolean {
  let backslashes = 0
  while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++
  return backslashes % 2 === 1
}

/** The index of the comma or brace that ends the value after `at`. */
function skipValue(bytes: Buffer, at: number): number {
  let depth = 0
  for (let i = at; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) i = skipString(bytes, i) - 1
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++
    else if (depth > 0 && (byte === CLOSE_BRACE || byte === CLOSE_BRACKET)) depth--
    else if (depth === 0 && (byte === COMMA || byte === CLOSE_BRACE)) return i
  }
  return bytes.length
}
