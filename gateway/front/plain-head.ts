// Reads the head of a plain request for a token path from bytes that hold all of it; any other head is left to Node's parser.
import { ENGINE_ROUTES, type EnginePath } from '../engine-routes.ts'

/** The head of one plain request, and where its body is. */
export interface PlainHead {
  readonly path: EnginePath
  /** By lower-case name; each came once. */
  readonly headers: Readonly<Record<string, string>>
  /** Where the body begins in the bytes that the head was read from. */
  readonly bodyStart: number
  readonly bodyBytes: number
}

/** The first lines of requests for tokens: what is asked for all day. */
const REQUEST_LINES = (Object.keys(ENGINE_ROUTES) as EnginePath[])
  .filter((path) => ENGINE_ROUTES[path].body === 'json' && ENGINE_ROUTES[path].streams)
  .map((path) => ({ path, line: `POST ${path} HTTP/1.1\r\n` }))

/** Half of what Node's parser takes, so that it alone decides what is too large. */
const MAX_HEAD_BYTES = 8_192
const MAX_FIELDS = 64

/**
 * Narrower than RFC 9112 on purpose: names are tokens, a value is visible ASCII and spaces. A folded line, a bare CR or LF,
 * a tab, a byte above 0x7e or a space before the colon is not in it.
 */
const FIELD_LINES = /(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\x20-\x7e]*\r\n)+$/y
const PLAIN_LENGTH = /^[1-9]\d{0,9}$/
const JSON_TYPE = /^application\/json(?:; ?charset=utf-8)?$/i
const OWN_NAME = 'x-sluice-'
const OWN_FIELDS = new Set(['x-sluice-timing'])

/** Fields that change how a message is read or how a connection goes on; whoever sends one is served by Node. */
const UNUSUAL_FIELDS: ReadonlySet<string> = new Set([
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'content-encoding',
  'keep-alive',
  'proxy-connection',
  'http2-settings',
  'last-event-id'
])

const END = Buffer.from('\r\n\r\n')
const SPACE = 0x20

/** Undefined for whatever is not plainly a whole head of a request for a token path with a body of at most `maxBodyBytes`. */
export function readPlainHead(bytes: Buffer, maxBodyBytes: number): PlainHead | undefined {
  const end = bytes.indexOf(END)
  if (end === -1 || end > MAX_HEAD_BYTES) return undefined
  const text = bytes.toString('latin1', 0, end + 2)
  const requestLine = REQUEST_LINES.find(({ line }) => text.startsWith(line))
  if (requestLine === undefined) return undefined
  FIELD_LINES.lastIndex = requestLine.line.length
  if (!FIELD_LINES.test(text)) return undefined
  const headers = readFields(bytes, text, requestLine.line.length)
  if (headers === undefined || headers.host === undefined) return undefined
  if (!/^keep-alive$/i.test(headers.connection ?? 'keep-alive')) return undefined
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) return undefined
  const length = headers['content-length'] ?? ''
  if (!PLAIN_LENGTH.test(length) || Number(length) > maxBodyBytes) return undefined
  return { path: requestLine.path, headers, bodyStart: end + END.length, bodyBytes: Number(length) }
}

/**
 * The fields of well-formed lines from `from` on; undefined where one comes twice, or is not for here. A value is read from
 * the bytes: a part of the text would keep all of it, the key included, for as long as the call lives.
 */
function readFields(bytes: Buffer, text: string, from: number): Record<string, string> | undefined {
  const headers: Record<string, string> = Object.create(null)
  let count = 0
  for (let start = from; start < text.length; ) {
    const colon = text.indexOf(':', start)
    const end = text.indexOf('\r\n', colon)
    const name = text.slice(start, colon).toLowerCase()
    if (headers[name] !== undefined || UNUSUAL_FIELDS.has(name) || ++count > MAX_FIELDS) return undefined
    if (name.startsWith(OWN_NAME) && !OWN_FIELDS.has(name)) return undefined
    headers[name] = readTrimmed(bytes, colon + 1, end)
    start = end + 2
  }
  return headers
}

/** The bytes from `start` to `end` as text, without the spaces around them. */
function readTrimmed(bytes: Buffer, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && bytes[from] === SPACE) from++
  while (to > from && bytes[to - 1] === SPACE) to--
  return bytes.toString('latin1', from, to)
}
