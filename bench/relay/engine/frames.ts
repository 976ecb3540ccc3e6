// The bytes that the bench's engine writes: vLLM's events, each in an HTTP/1.1 chunk of its own as uvicorn sends it.
import { ID_DIGITS, ID_MODULUS, STAMP_DIGITS, STAMP_MARK, STAMP_MODULUS } from '../clock.ts'

/** One token's event in bytes, as vLLM's are with a short model name. */
const EVENT_BYTES = 245
/** How many events a firehose puts into one write. */
export const BURST = 32

const chunkOf = (event: string) => Buffer.from(`${Buffer.byteLength(event).toString(16)}\r\n${event}\r\n`)

function eventOf(delta: object, finishReason: string | null): string {
  const choice = { index: 0, delta, logprobs: null, finish_reason: finishReason, token_ids: null }
  const id = 'chatcmpl-6b2c1e0d9f8a47d3b5a1c4e2f7089d36'
  return `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created: 1_700_000_000, model: 'bench', choices: [choice] })}\n\n`
}

function makeToken(): Buffer {
  const stamp = String.fromCharCode(STAMP_MARK).padEnd(1 + STAMP_DIGITS + ID_DIGITS, '0')
  const padding = EVENT_BYTES - eventOf({ content: stamp }, null).length
  return chunkOf(eventOf({ content: stamp + 'x'.repeat(Math.max(0, padding)) }, null))
}

const TOKEN = makeToken()
const STAMP_AT = TOKEN.indexOf(STAMP_MARK) + 1

/** The head of a streamed answer and its role chunk. */
export const START = Buffer.concat([
  Buffer.from(
    'HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\n' +
      'content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n'
  ),
  chunkOf(eventOf({ role: 'assistant', content: '' }, null))
])

/** The finish chunk, `[DONE]` and the last chunk of the body. */
export const END = Buffer.concat([chunkOf(eventOf({}, 'stop')), chunkOf('data: [DONE]\n\n'), Buffer.from('0\r\n\r\n')])

/** `count` events that carry their send time and the number of their stream. */
export function makeTokens(count: number, sentAtUs: number, id: number): Buffer {
  const bytes = Buffer.allocUnsafe(TOKEN.length * count)
  TOKEN.copy(bytes, 0)
  writeDigits(bytes, STAMP_AT, STAMP_DIGITS, Math.floor(sentAtUs % STAMP_MODULUS))
  writeDigits(bytes, STAMP_AT + STAMP_DIGITS, ID_DIGITS, id % ID_MODULUS)
  for (let i = 1; i < count; i++) bytes.copy(bytes, i * TOKEN.length, 0, TOKEN.length)
  return bytes
}

function writeDigits(bytes: Buffer, start: number, digits: number, value: number): void {
  let rest = value
  for (let at = start + digits - 1; at >= start; at--) {
    const next = Math.floor(rest / 10)
    bytes[at] = 0x30 + rest - next * 10
    rest = next
  }
}

/** A whole answer in JSON. */
export function makeJson(status: number, reason: string, value: unknown): Buffer {
  const body = JSON.stringify(value)
  return Buffer.from(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}
