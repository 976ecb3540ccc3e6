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
 * Reads a body that must be a JSON object; throws `invalid_json` with the position of the first mistake.
 *
 * `JSON.parse` judges whether it is JSON, but is not asked for its keys: V8 reads a key that is spelt with escapes as
 * another one where an earlier object had that spelling as its key (`"\u006e"` after `"\\u006e"`, seen in Node 24), and a
 * limit that the engine reads and we don't is no limit.
 */
export function readJsonBody(bytes: Buffer): JsonBody {
  // first, because it refuses in no time what would take the parser seconds
  const members = scanObject(bytes)
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
  const last = new Map(members.map((member) => [member.key, member]))
  const raw = (name: string) => {
    const member = last.get(name)
    return member && bytes.subarray(member.valueStart, member.end)
  }
  return {
    raw,
    get(name) {
      const value = raw(name)
      return value && JSON.parse(value.toString('utf8'))
    },
    with: (fields, once) => compose(bytes, members, last, fields, once)
  }
}

const COMMA = Buffer.from(',')
const CLOSE = Buffer.from('}')

function compose(
  bytes: Buffer,
  members: readonly Member[],
  last: ReadonlyMap<string, Member>,
  fields: JsonObject,
  once: ReadonlySet<string> | undefined
): Buffer {
  const parts: Buffer[] = [Buffer.from(JSON.stringify(fields).slice(0, -1))]
  let first = Object.keys(fields).length === 0
  for (const member of members) {
    const { key, start, valueStart, end } = member
    const counts = once?.has(key) === true
    if (Object.hasOwn(fields, key) || (counts && last.get(key) !== member)) continue
    if (!first) parts.push(COMMA)
    first = false
    if (counts) parts.push(Buffer.from(`${JSON.stringify(key)}:`), bytes.subarray(valueStart, end))
    else parts.push(bytes.subarray(start, end))
  }
  parts.push(CLOSE)
  return Buffer.concat(parts)
}
