// Knows the head of a plain event stream by its bytes, which is what engines answer all day; any other head is left to the parser.
import type { Headers } from '../call.ts'
import { FieldLine, FieldNames } from '../field-lines.ts'

/** What is told of such a head: nobody asks for more. */
export const STREAM_HEADERS: Headers = Object.freeze({ 'content-type': 'text/event-stream' })

/** More than this before the blank line is no head of an engine. */
export const MAX_HEAD_BYTES = 32_768
const MAX_FIELDS = 64

type Meaning = 'type' | 'coding' | 'unusual'

/** What says how the response is read, or how its connection goes on: with any other of these it is for the parser. */
const FIELDS = new FieldNames<Meaning>([
  ['content-type', 'type'],
  ['transfer-encoding', 'coding'],
  ['content-length', 'unusual'],
  ['content-encoding', 'unusual'],
  ['connection', 'unusual'],
  ['keep-alive', 'unusual'],
  ['trailer', 'unusual'],
  ['upgrade', 'unusual']
])
const STATUS_LINE = Buffer.from('HTTP/1.1 200 OK\r\n')
const EVENT_STREAM = Buffer.from('text/event-stream')
const CHUNKED = Buffer.from('chunked')

const CR = 0x0d
const LF = 0x0a
const line = new FieldLine()

/**
 * The index after the head that begins at `from`, where it is here as a whole, plain, and that of an event stream in chunks on
 * a connection that stays open; -1 for any other.
 */
export function skipStreamHead(bytes: Buffer, from: number, length: number): number {
  for (let i = 0; i < STATUS_LINE.length; i++) if (bytes[from + i] !== STATUS_LINE[i]) return -1
  const limit = Math.min(length, from + MAX_HEAD_BYTES)
  let hasType = false
  let hasCoding = false
  let at = from + STATUS_LINE.length
  for (let count = 0; bytes[at] !== CR || at >= limit; count++) {
    at = line.read(bytes, at, limit)
    if (at === -1 || count === MAX_FIELDS) return -1
    const meaning = FIELDS.find(bytes, line)
    if (meaning === undefined) continue
    if (meaning === 'type' && !hasType && line.beginsWith(bytes, EVENT_STREAM)) hasType = true
    else if (meaning === 'coding' && !hasCoding && line.hasValue(bytes, CHUNKED)) hasCoding = true
    else return -1
  }
  return hasType && hasCoding && at + 1 < limit && bytes[at + 1] === LF ? at + 2 : -1
}
