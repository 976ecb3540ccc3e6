// A request body as bytes: its top-level fields, and how a few of them are set while everything else stays as it was sent.
import { GatewayError } from '../errors.ts'
import { locateMistake } from '../json-mistake.ts'
import { isKey, type Member, scanObject } from './json-scan.ts'
import { type OpenJson, writeOpenJson } from './json-text.ts'
import { TextMemory } from './text-memory.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** The fields of one body, read from its bytes when they are asked for. Of two with one name the last counts. */
export interface JsonBody {
  /** The parsed value of a field; undefined where there is none. */
  get(name: string): unknown
  /** The bytes of a field's value; undefined where there is none. */
  raw(name: string): Buffer | undefined
  /**
   * The object's bytes with `fields` set at its front and every other mention of them removed, however its key was spelt
   * or repeated: parsers differ in which of two equal keys they believe. Of the names in `once` the last mention stays,
   * plainly spelt. All other bytes stay: numbers keep digits that JavaScript's would lose.
   */
  with(fields: JsonObject, once?: readonly string[]): Buffer
}

const NO_NAMES: readonly string[] = []

/**
 * Reads a body that must be a JSON object; throws `invalid_json` with the position of the first mistake. `what` is how the
 * client knows these bytes.
 *
 * It is not parsed: nobody wants its values but a few, and a parser that makes all of them takes ten times as long while
 * its code is cold. V8's would not tell its keys rightly, either: it reads one that is spelt with escapes as another where
 * an earlier object had that spelling as its key (`"\u006e"` after `"\\u006e"`, seen in Node 24), and a limit that the
 * engine reads and we don't is no limit.
 */
export function readJsonBody(bytes: Buffer, what = 'request body'): JsonBody {
  const members = scanObject(bytes, what)
  if (members === undefined) {
    const place = locateMistake(bytes.toString('utf8'))
    throw new GatewayError('invalid_json', { message: `The ${what} is not valid JSON: ${place}.` })
  }
  return new ScannedBody(bytes, members)
}

class ScannedBody implements JsonBody {
  readonly #bytes: Buffer
  readonly #members: readonly Member[]

  constructor(bytes: Buffer, members: readonly Member[]) {
    this.#bytes = bytes
    this.#members = members
  }

  get(name: string): unknown {
    const member = findLast(this.#bytes, this.#members, name)
    return member && readValue(this.#bytes, member.valueStart, member.end)
  }

  raw(name: string): Buffer | undefined {
    const member = findLast(this.#bytes, this.#members, name)
    return member && this.#bytes.subarray(member.valueStart, member.end)
  }

  with(fields: JsonObject, once: readonly string[] = NO_NAMES): Buffer {
    return compose(this.#bytes, this.#members, fields, once)
  }
}

/** The last member of that name, which is the one that counts. */
function findLast(bytes: Buffer, members: readonly Member[], name: string): Member | undefined {
  for (let i = members.length - 1; i >= 0; i--) {
    const member = members[i] as Member
    if (isKey(bytes, member, name)) return member
  }
  return undefined
}

const QUOTE = 0x22
const LOWER_T = 0x74
const LOWER_F = 0x66
const ZERO = 0x30
const NINE = 0x39
/** A whole number of no more digits is exact. */
const EXACT_DIGITS = 15

const texts = new TextMemory()

/** The value in valid JSON. */
function readValue(bytes: Buffer, start: number, end: number): unknown {
  const first = bytes[start]
  if (first === LOWER_T || first === LOWER_F) return first === LOWER_T
  const plain = first === QUOTE ? texts.read(bytes, start + 1, end - 1) : readDigits(bytes, start, end)
  return plain ?? JSON.parse(bytes.toString('utf8', start, end))
}

/** A number that is digits alone; undefined for any other value. */
function readDigits(bytes: Buffer, start: number, end: number): number | undefined {
  if (end - start > EXACT_DIGITS) return undefined
  let number = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number
    if (byte < ZERO || byte > NINE) return undefined
    number = number * 10 + byte - ZERO
  }
  return number
}

/** A range of the old body that goes into the new one; behind `name` where it is a value without its key. */
interface Part {
  readonly name: string | undefined
  readonly start: number
  end: number
}

function compose(bytes: Buffer, members: readonly Member[], fields: JsonObject, once: readonly string[]): Buffer {
  const parts: Part[] = []
  const ours = Object.keys(fields)
  /** The part that ends with the member before, which then goes on with this one and the comma between them. */
  let open: Part | undefined
  for (const member of members) {
    const name = findName(bytes, member, once)
    const isLeftOut =
      findName(bytes, member, ours) !== undefined || (name !== undefined && findLast(bytes, members, name) !== member)
    if (isLeftOut) open = undefined
    else if (open !== undefined && name === undefined) open.end = member.end
    else {
      open = { name, start: name === undefined ? member.start : member.valueStart, end: member.end }
      parts.push(open)
    }
  }
  return join(writeOpenJson(fields), bytes, parts)
}

/** Which of `names` is the key of a member. */
function findName(bytes: Buffer, member: Member, names: readonly string[]): string | undefined {
  for (const name of names) if (isKey(bytes, member, name)) return name
  return undefined
}

const COMMA = 0x2c
const COLON = 0x3a
const CLOSE_BRACE = 0x7d

function join(front: OpenJson, bytes: Buffer, parts: readonly Part[]): Buffer {
  let length = front.end + 1
  for (const { name, start, end } of parts) length += 1 + (name === undefined ? 0 : name.length + 3) + end - start
  const first = front.end === 1 ? 0 : 1
  if (parts.length > 0) length += first - 1
  const joined = Buffer.allocUnsafe(length)
  let at = front.bytes.copy(joined, 0, 0, front.end)
  for (let i = 0; i < parts.length; i++) {
    const { name, start, end } = parts[i] as Part
    if (i > 0 || first === 1) joined[at++] = COMMA
    if (name !== undefined) at = writeKey(joined, at, name)
    at += bytes.copy(joined, at, start, end)
  }
  joined[at] = CLOSE_BRACE
  return joined
}

/** Writes the key of a member, which is plain ASCII: we chose it. */
function writeKey(bytes: Buffer, at: number, name: string): number {
  bytes[at] = QUOTE
  for (let i = 0; i < name.length; i++) bytes[at + 1 + i] = name.charCodeAt(i)
  bytes[at + 1 + name.length] = QUOTE
  bytes[at + 2 + name.length] = COLON
  return at + 3 + name.length
}
