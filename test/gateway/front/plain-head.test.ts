// Which heads of requests are read on the socket itself, and what is read of them.
import { describe, expect, it } from 'vitest'
import { readPlainHead } from '../../../gateway/front/plain-head.ts'

const MAX_BODY_BYTES = 1_000

const FIELDS = {
  Host: 'gateway',
  Authorization: 'Bearer sk-1',
  'Content-Type': 'application/json',
  'Content-Length': '12'
}

const write = (fields: Readonly<Record<string, string>>, line = 'POST /v1/chat/completions HTTP/1.1') =>
  [line, ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`), '', '{"the":"body'].join('\r\n')

const readText = (text: string) => readPlainHead(Buffer.from(text, 'latin1'), MAX_BODY_BYTES)
const read = (fields: Readonly<Record<string, string>>, line?: string) =>
  readText(write({ ...FIELDS, ...fields }, line))

describe('a plain head', () => {
  it('says where the credential and the body stand, and keeps few fields', () => {
    const text = write({ ...FIELDS, 'User-Agent': 'x/1', 'X-Request-Id': ' abc  ', Origin: 'https://page' })
    const head = readText(text)
    expect(head).toMatchObject({ path: '/v1/chat/completions', bodyBytes: 12 })
    expect({ ...head?.headers }).toEqual({ 'x-request-id': 'abc', origin: 'https://page' })
    expect(text.slice(head?.credentialStart, head?.credentialEnd)).toBe('Bearer sk-1')
    expect(text.slice(head?.bodyStart)).toBe('{"the":"body')
  })

  it.each([
    ['/v1/completions', {}],
    ['/v1/responses', {}],
    ['/v1/messages', {}],
    ['/v1/chat/completions', { Connection: 'Keep-Alive' }],
    ['/v1/chat/completions', { 'Content-Type': 'Application/JSON; charset=UTF-8' }],
    ['/v1/chat/completions', { 'X-Sluice-Timing': '1' }],
    ['/v1/chat/completions', { 'Content-Length': '1000' }],
    ['/v1/chat/completions', { Accept: '*/*', accept: 'text/event-stream' }],
    ['/v1/chat/completions', { Cookie: '' }]
  ])('for %s may have %j', (path, fields) => {
    expect(read(fields, `POST ${path} HTTP/1.1`)?.path).toBe(path)
  })

  it('has no more than it says', () => {
    expect({ ...read({})?.headers }).toEqual({})
    const { Authorization, ...anonymous } = FIELDS
    expect(readText(write(anonymous))).toMatchObject({ credentialStart: 0, credentialEnd: 0 })
  })
})

describe('left to Node is', () => {
  it.each([
    ['GET /v1/chat/completions HTTP/1.1', {}],
    ['POST /v1/chat/completions HTTP/1.0', {}],
    ['POST /v1/chat/completions?x=1 HTTP/1.1', {}],
    ['POST /v1/embeddings HTTP/1.1', {}],
    ['POST  /v1/chat/completions HTTP/1.1', {}],
    [undefined, { 'Transfer-Encoding': 'chunked' }],
    [undefined, { 'Content-Encoding': 'gzip' }],
    [undefined, { Expect: '100-continue' }],
    [undefined, { Upgrade: 'h2c' }],
    [undefined, { 'Last-Event-ID': '4' }],
    [undefined, { 'KEEP-ALIVE': '5' }],
    [undefined, { Connection: 'close' }],
    [undefined, { Connection: 'keep-alive, upgrade' }],
    [undefined, { 'Content-Type': 'text/json' }],
    [undefined, { 'Content-Type': 'application/json; charset=latin1' }],
    [undefined, { 'Content-Length': '0' }],
    [undefined, { 'Content-Length': '012' }],
    [undefined, { 'Content-Length': '+12' }],
    [undefined, { 'Content-Length': '12 12' }],
    [undefined, { 'Content-Length': '1001' }],
    [undefined, { 'Content-Length': '99999999999999999999' }],
    [undefined, { 'X-Sluice-Resumable': '1' }],
    [undefined, { 'content-length': '12' }],
    [undefined, { 'Content-Length': '12', 'content-length': '13' }],
    [undefined, { host: 'twice' }],
    [undefined, { authorization: 'Bearer sk-2' }],
    [undefined, { 'X-Request-Id': 'a', 'x-request-id': 'b' }],
    [undefined, { 'X-Odd': 'tab\there' }],
    [undefined, { 'X-Odd': 'caf\xe9' }],
    [undefined, { 'X-Odd': 'nul\0' }],
    [undefined, { 'X-Odd': 'folded\r\n line' }],
    [undefined, { 'X-Odd': 'bare\nline' }],
    [undefined, { 'X-Odd': 'bare\rreturn' }],
    [undefined, { 'X Odd': '1' }],
    [undefined, { 'Content-Length ': '12' }],
    [undefined, { '': '1' }]
  ])('%j with %j', (line, fields) => {
    expect(read(fields, line)).toBeUndefined()
  })

  it.each(['Host', 'Content-Type', 'Content-Length'])('one without %s', (name) => {
    expect(
      readText(write(Object.fromEntries(Object.entries(FIELDS).filter(([field]) => field !== name))))
    ).toBeUndefined()
  })

  it('one with more than 64 fields, or of more than 8 KiB', () => {
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, '1']))
    expect(read(many(60))).toMatchObject({ bodyBytes: 12 })
    expect(read(many(61))).toBeUndefined()
    expect(read({ 'x-long': 'x'.repeat(7_900) })).toMatchObject({ bodyBytes: 12 })
    expect(read({ 'x-long': 'x'.repeat(8_200) })).toBeUndefined()
  })

  it('one that is not whole, wherever it is cut', () => {
    const whole = write(FIELDS)
    const headBytes = whole.indexOf('\r\n\r\n') + 4
    expect(readText(whole.slice(0, headBytes))).toMatchObject({ bodyBytes: 12 })
    for (let cut = 0; cut < headBytes; cut++) expect(readText(whole.slice(0, cut)), `cut at ${cut}`).toBeUndefined()
  })

  it('one without a field, or with a bare line end after them', () => {
    expect(readText('POST /v1/chat/completions HTTP/1.1\r\n\r\n')).toBeUndefined()
    expect(readText(write(FIELDS).replace('\r\n\r\n', '\r\n\r{'))).toBeUndefined()
    expect(readText(write(FIELDS).replace('\r\n\r\n', '\r\n\n'))).toBeUndefined()
  })
})
