// A request body as bytes: its top-level fields, and how a few of them are set while everything else stays as it was sent.
import { GatewayError } from '../errors.ts'
import { locateMistake } from '../json-mistake.ts'
import { type Member, scanObject } from './json-scan.ts'

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
  with(fields: JsonObject, once?: ReadonlySet<string>): Buffer
}

/**
 * Reads a body that must be a JSON object; throws `invalid_json` with the position of the first mistake. `what` is how the
 * client knows these bytes.
 *
 * `JSON.parse` judges whether it is JSON, but is not asked for its keys: V8 reads a key that is spelt with escapes as
 * another one where an earlier object had that spelling as its key (`"\u006e"` after `"\\u006e"`, seen in Node 24), and a
 * limit that the engine reads and we don't is no limit.
 */
export function readJsonBody(bytes: Buffer, what = 'request body'): JsonBody {
  // first, because it refuses in no time what would take the parser seconds
  const members = scanObject(bytes, what)
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new GatewayError('invalid_json', { message: `The ${what} is not valid JSON: ${locateMistake(text)}.` })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GatewayError('invalid_json', { message: `The ${what} must be a JSON object.` })
  }
  const raw = (name: string) => {
    const member = findLast(members, name)
    return member && bytes.subarray(member.valueStart, member.end)
  }
  return {
    raw,
    get(name) {
      const member = findLast(members, name)
      return member && readValue(bytes, member.valueStart, member.end)
    },
    with: (fields, once) => compose(bytes, members, fields, once)
  }
}

/** The last member of that name, which is the one that counts. */
function findLast(members: readonly Member[], name: string): Member | undefined {
  for (let i = members.length - 1; i >= 0; i--) if (members[i]?.key === name) return members[i]
  return undefined
}

function readValue(bytes: Buffer, start: number, end: number): unknown {
  const text = bytes.toString('utf8', start, end)
  return text === 'true' ? true : text === 'false' ? false : JSON.parse(text)
}

/** A part of the new body: a text of ours, or a range of the old one. */
type Part = string | { readonly start: number; end: number }

function compose(
  bytes: Buffer,
  members: readonly Member[],
  fields: JsonObject,
  once: ReadonlySet<string> | undefined
): Buffer {
  const parts: Part[] = []
  let text = JSON.stringify(fields).slice(0, -1)
  let border = text === '{' ? '' : ','
  /** The part that ends with the member before, which then goes on with this one and the comma between them. */
  let open: { readonly start: number; end: number } | undefined
  for (const member of members) {
    const { key, start, valueStart, end } = member
    const counts = once?.has(key) === true
    if (Object.hasOwn(fields, key) || (counts && findLast(members, key) !== member)) {
      open = undefined
    } else if (open !== undefined && !counts) {
      open.end = end
    } else {
      const range = { start: counts ? valueStart : start, end }
      parts.push(text + border + (counts ? `${JSON.stringify(key)}:` : ''), range)
      text = ''
      border = ','
      open = range
    }
  }
  parts.push(`${text}}`)
  return join(bytes, parts)
}

function join(bytes: Buffer, parts: readonly Part[]): Buffer {
  let length = 0
  for (const part of parts) length += typeof part === 'string' ? Buffer.byteLength(part) : part.end - part.start
  const joined = Buffer.allocUnsafe(length)
  let at = 0
  for (const part of parts) {
    at += typeof part === 'string' ? joined.write(part, at) : bytes.copy(joined, at, part.start, part.end)
  }
  return joined
}
