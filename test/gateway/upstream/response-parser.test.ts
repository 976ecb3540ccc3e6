// The strict response parser: the same answer however it is cut, and no guess at what is ambiguous.
import { describe, expect, it } from 'vitest'
import { ResponseParser } from '../../../gateway/upstream/response-parser.ts'

interface Read {
  readonly heads: string[]
  readonly payload: string
  readonly frames: string[]
  readonly done: boolean
  readonly keepAlive: boolean
  readonly refused: string | undefined
}

/** Reads pieces as a socket hands them over: each at the front of one buffer that is used again and again. */
function read(pieces: readonly Buffer[]): Read {
  const shared = Buffer.alloc(65_536, '0')
  const heads: string[] = []
  const frames: string[] = []
  let payload = Buffer.alloc(0)
  const parser = new ResponseParser({
    onHead: (status, headers) => heads.push(`${status} ${headers['content-type']}`),
    onPayload(bytes, start, end, frameStart, frameEnd) {
      payload = Buffer.concat([payload, bytes.subarray(start, end)])
      if (frameStart !== -1) frames.push(bytes.toString('latin1', frameStart, frameEnd))
    }
  })
  let refused: string | undefined
  try {
    for (const piece of pieces) parser.push(shared, piece.copy(shared))
  } catch (cause) {
    refused = (cause as Error).message
  }
  return { heads, payload: String(payload), frames, done: parser.done, keepAlive: parser.keepAlive, refused }
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
const ANSWER = `${HEAD}9\r\ndata: a\n\n\r\n00a\r\ndata: 猫\n\n\r\n0\r\n\r\n`.replace('00a', '00B')
const FIXED = 'HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nbusy'

describe('an answer', () => {
  it.each([
    ['in chunks', ANSWER, { heads: ['200 text/event-stream'], payload: 'data: a\n\ndata: 猫\n\n' }],
    ['of a length', FIXED, { heads: ['503 text/plain'], payload: 'busy' }]
  ])('%s is the same wherever two cuts fall', (_how, text, expected) => {
    const bytes = Buffer.from(text)
    for (let a = 0; a <= bytes.length; a++) {
      for (let b = a; b <= bytes.length; b += 3) {
        const { heads, payload, done, refused } = read([bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)])
        expect({ heads, payload, done, refused }, `cut at ${a} and ${b}`).toEqual({
          ...expected,
          done: true,
          refused: undefined
        })
      }
    }
  })

  it('has its whole chunks told as they stand', () => {
    expect(read([Buffer.from(ANSWER)]).frames).toEqual([
      '9\r\ndata: a\n\n\r\n',
      Buffer.from('00B\r\ndata: 猫\n\n\r\n').toString('latin1')
    ])
  })

  it('has headers by any name, those of an object’s own properties among them', () => {
    let told: unknown
    const parser = new ResponseParser({
      onHead: (_status, headers) => {
        told = Object.entries(headers)
      },
      onPayload() {}
    })
    const bytes = Buffer.from(
      'HTTP/1.1 200 OK\r\nConstructor: a\r\n__proto__: b\r\nX:\r\nX:  c \r\nContent-Length: 0\r\n\r\n'
    )
    parser.push(bytes, bytes.length)
    expect(told).toEqual([
      ['constructor', 'a'],
      ['__proto__', 'b'],
      ['x', ', c'],
      ['content-length', '0']
    ])
  })

  it.each([
    ['in the same read', [Buffer.from(`${ANSWER}x`)]],
    ['in a later one', [Buffer.from(ANSWER), Buffer.from('x')]],
    ['of a length', [Buffer.from(`${FIXED}${FIXED}`)]]
  ])('is whole with bytes after its end, which end its connection, %s', (_where, pieces) => {
    const { heads, done, keepAlive, refused } = read(pieces)
    expect({ heads: heads.length, done, keepAlive, refused }).toEqual({
      heads: 1,
      done: true,
      keepAlive: false,
      refused: undefined
    })
  })

  it('is not done before its last byte', () => {
    expect(read([Buffer.from(ANSWER.slice(0, -1))]).done).toBe(false)
  })

  it('does not take bytes of an earlier read for its own', () => {
    const [first, second] = [Buffer.from(`${HEAD}5\r\nhello\r\n0\r\n\r\n`), Buffer.from(`${HEAD}5`)]
    expect(read([second.subarray(0, HEAD.length), Buffer.from('5')]).payload).toBe('')
    expect(read([first]).payload).toBe('hello')
  })
})

describe('an answer is refused', () => {
  const fields = (...lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`

  it.each([
    ['with a chunk that is longer than it says', `${HEAD}1\r\nab\r\n`],
    ['with a chunk extension', `${HEAD}1;a=b\r\na\r\n`],
    ['with a trailer', `${HEAD}0\r\nA: b\r\n\r\n`],
    ['with a chunk size of nothing', `${HEAD}\r\n`],
    ['with a chunk size of too many digits', `${HEAD}000000001\r\na\r\n`],
    ['with a negative chunk size', `${HEAD}-1\r\n`],
    ['with a chunk size after a space', `${HEAD} 1\r\na\r\n`],
    ['with line ends of LF alone', 'HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n'],
    ['with both lengths', fields('Content-Length: 1', 'Transfer-Encoding: chunked')],
    ['with two lengths', fields('Content-Length: 1', 'Content-Length: 1')],
    ['with a list of lengths', fields('Content-Length: 1, 1')],
    ['with a length that is signed', fields('Content-Length: +1')],
    ['with an encoding of several', fields('Transfer-Encoding: gzip, chunked')],
    ['with two encodings', fields('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
    ['with no length', fields('A: b')],
    ['with a space before a colon', fields('Content-Length : 1')],
    ['with a folded header', fields('A: b', ' c', 'Content-Length: 0')],
    ['with a control character', fields('A: b\u0000', 'Content-Length: 0')],
    ['of an older protocol', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['that is informational', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['with a head that never ends', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(9_000)}`]
  ])('%s', (_what, text) => {
    expect(read([Buffer.from(text)]).refused).toMatch(/^response refused: /)
  })
})
