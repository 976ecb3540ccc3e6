// Reads the head of a plain request for a token path from bytes that hold all of it; any other head is left to Node's parser.
import { HEADERS } from '../contract.ts'
import { type EnginePath, TOKEN_PATHS } from '../engine-routes.ts'
import { FieldLine, FieldNames } from '../field-lines.ts'
import { startsWith } from '../stream/sse.ts'

/** The head of one plain request, and where its body is. */
export interface PlainHead {
  readonly path: EnginePath
  /** Those that are read here, by lower-case name; each came once. */
  readonly headers: Readonly<Record<string, string>>
  /** Where the value of `Authorization` stands in the bytes that the head was read from; both 0 where there is none. */
  readonly credentialStart: number
  readonly credentialEnd: number
  /** Where the body begins in those bytes. */
  readonly bodyStart: number
  readonly bodyBytes: number
}

/** The first lines of requests for tokens. */
const REQUEST_LINES = TOKEN_PATHS.map((path) => ({ path, line: Buffer.from(`POST ${path} HTTP/1.1\r\n`) }))

/** Half of what Node's parser takes, so that it alone decides what is too large. */
const MAX_HEAD_BYTES = 8_192
const MAX_FIELDS = 64
/** The end of the last field and the empty line, which do not count. */
const EMPTY_LINE_BYTES = 4
/** So long a body has ten digits: none that is taken comes near. */
const MAX_LENGTH_DIGITS = 10

/** What a field means here: how the message is read, who asks, what is kept as a text, or that the request is for Node. */
type Meaning = 'host' | 'connection' | 'length' | 'type' | 'credential' | 'kept' | 'unusual'

interface Field {
  readonly name: string
  readonly meaning: Meaning
  /** One bit of its own, to see whether the field comes twice. */
  readonly bit: number
}

const MEANINGS: readonly (readonly [Meaning, readonly string[]])[] = [
  ['host', ['host']],
  ['connection', ['connection']],
  ['length', ['content-length']],
  ['type', ['content-type']],
  ['credential', ['authorization']],
  ['kept', [HEADERS.requestId, HEADERS.timing, 'traceparent', 'tracestate', 'origin']],
  // what changes how a message is read or how a connection goes on: whoever sends one is served by Node
  [
    'unusual',
    [
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
    ]
  ]
]
const FIELDS = MEANINGS.flatMap(([meaning, names]) => names.map((name) => ({ name, meaning }))).map(
  (field, i): Field => ({ ...field, bit: 1 << i })
)
const KNOWN = new FieldNames(FIELDS.map((field) => [field.name, field] as const))
/** The bits of the fields without which a request is not plain. */
const REQUIRED = FIELDS.filter(({ meaning }) => ['host', 'length', 'type'].includes(meaning)).reduce(
  (bits, { bit }) => bits | bit,
  0
)
/** Other fields of ours ask for what is not done here. */
const OWN_NAME = Buffer.from('x-sluice-')
const KEEP_ALIVE = Buffer.from('keep-alive')
const JSON_TYPE = Buffer.from('application/json')
const JSON_TYPE_UTF8 = /^application\/json; ?charset=utf-8$/i

const CR = 0x0d
const LF = 0x0a
const ZERO = 0x30
const NINE = 0x39

const NO_FIELDS: Readonly<Record<string, string>> = Object.freeze(Object.create(null))
const line = new FieldLine()

/** Undefined for whatever is not plainly a whole head of a request for a token path with a body of at most `maxBodyBytes`. */
export function readPlainHead(bytes: Buffer, maxBodyBytes: number): PlainHead | undefined {
  const asked = findRequestLine(bytes)
  if (asked === undefined) return undefined
  const limit = Math.min(bytes.length, MAX_HEAD_BYTES + EMPTY_LINE_BYTES)
  let headers: Record<string, string> | undefined
  let seen = 0
  let bodyBytes = 0
  let credentialStart = 0
  let credentialEnd = 0
  let at = asked.line.length
  for (let count = 0; bytes[at] !== CR; count++) {
    at = line.read(bytes, at, limit)
    if (at === -1 || count === MAX_FIELDS) return undefined
    const field = KNOWN.find(bytes, line)
    if (field === undefined) {
      if (line.isNamedLike(bytes, OWN_NAME)) return undefined
      continue
    }
    const { name, meaning, bit } = field
    if ((seen & bit) !== 0 || !isPlain(bytes, meaning)) return undefined
    seen |= bit
    if (meaning === 'length') bodyBytes = readLength(bytes)
    else if (meaning === 'kept') {
      headers ??= Object.create(null) as Record<string, string>
      headers[name] = line.value(bytes)
    } else if (meaning === 'credential') {
      credentialStart = line.valueStart
      credentialEnd = line.valueEnd
    }
  }
  if (at + 1 >= limit || bytes[at + 1] !== LF || (seen & REQUIRED) !== REQUIRED) return undefined
  if (bodyBytes === 0 || bodyBytes > maxBodyBytes) return undefined
  const { path } = asked
  return { path, headers: headers ?? NO_FIELDS, credentialStart, credentialEnd, bodyStart: at + 2, bodyBytes }
}

function findRequestLine(bytes: Buffer): (typeof REQUEST_LINES)[number] | undefined {
  for (const asked of REQUEST_LINES) if (startsWith(bytes, 0, asked.line)) return asked
  return undefined
}

/** Whether the field that was read last leaves the request a plain one. */
function isPlain(bytes: Buffer, meaning: Meaning): boolean {
  if (meaning === 'connection') return line.hasValue(bytes, KEEP_ALIVE)
  if (meaning === 'type') return line.hasValue(bytes, JSON_TYPE) || JSON_TYPE_UTF8.test(line.value(bytes))
  return meaning !== 'unusual'
}

/** The length that was read last; 0 for one that is not plain, or no body. */
function readLength(bytes: Buffer): number {
  const { valueStart, valueEnd } = line
  if (valueEnd - valueStart > MAX_LENGTH_DIGITS || bytes[valueStart] === ZERO) return 0
  let length = 0
  for (let i = valueStart; i < valueEnd; i++) {
    const byte = bytes[i] as number
    if (byte < ZERO || byte > NINE) return 0
    length = length * 10 + byte - ZERO
  }
  return length
}
