// Who answers what: the front takes plain requests for tokens and nothing else.
import { afterEach, describe, expect, it } from 'vitest'
import { answersOf, closeFronts, openFront, plain } from '../../helpers/front.ts'

afterEach(closeFronts)

describe('a request', () => {
  it.each<[string, string]>([
    ['for a text completion', plain()],
    ['for a chat', plain('{}', [], 'POST /v1/chat/completions HTTP/1.1')],
    ['with fields of many kinds', plain('{}', ['Accept: */*', 'User-Agent: x/1 (y; z)', 'X-Sluice-Timing: 1'])],
    ['with keep-alive said', plain('{}', ['Connection: keep-alive'])]
  ])('%s is taken', async (_what, request) => {
    const lab = await openFront()
    expect(await answersOf(lab, [request], 1)).toEqual(['front'])
    expect(lab.taken).toEqual(['{}'])
  })

  it.each<[string, string]>([
    ['by another method', plain('{}', [], 'PUT /v1/completions HTTP/1.1')],
    ['for another path', plain('{}', [], 'POST /v1/models HTTP/1.1')],
    ['with a query', plain('{}', [], 'POST /v1/completions?x HTTP/1.1')],
    ['with an absolute target', plain('{}', [], 'POST http://gateway/v1/completions HTTP/1.1')],
    ['of HTTP/1.0', plain('{}', [], 'POST /v1/completions HTTP/1.0')],
    ['without a key', plain().replace('good', 'bad')],
    ['that can become no call', plain('{"refuse":1}')],
    ['of another type', plain().replace('application/json', 'text/plain')],
    ['without Host', plain().replace('Host', 'Hos')],
    ['without a length', plain('', []).replace('Content-Length', 'X')],
    ['with an empty body', plain('')],
    ['that is too large', plain('x'.repeat(100_001))],
    ['whose length has a zero before it', plain().replace('Length: 2', 'Length: 02')],
    ['with a second length', plain('{}', ['content-length: 2'])],
    ['with a coding', plain('0\r\n\r\n', ['Transfer-Encoding: chunked'])],
    ['with Expect', plain('{}', ['Expect: 100-continue'])],
    ['with TE', plain('{}', ['TE: trailers'])],
    ['with Connection: close', plain('{}', ['Connection: close'])],
    ['with an encoded body', plain('{}', ['Content-Encoding: gzip'])],
    ['with a field twice that is read here', plain('{}', ['X-Request-Id: 1', 'x-request-id: 1'])],
    ['with a folded line', plain('{}', ['X-A: 1\r\n 2'])],
    ['with a space before a colon', plain('{}', ['X-A : 1'])],
    ['with a bare LF', plain('{}', ['X-A: 1\nX-B: 2'])],
    ['with a tab in a value', plain('{}', ['X-A: 1\t2'])],
    ['with a byte above ASCII', plain('{}', ['X-A: é'])],
    ['with a gateway’s field that is not known here', plain('{}', ['X-Sluice-Other: 1'])],
    ['that resumes a stream', plain('{}', ['Last-Event-ID: 1'])],
    [
      'with very many fields',
      plain(
        '{}',
        Array.from({ length: 70 }, (_, i) => `X-${i}: 1`)
      )
    ],
    ['with a large head', plain('{}', [`X-A: ${'x'.repeat(9_000)}`])],
    ['after an empty line', `\r\n${plain()}`]
  ])('%s is left to Node', async (_what, request) => {
    const lab = await openFront()
    const [answerer] = await answersOf(lab, [request], 1)
    expect(answerer).toMatch(/node|HTTP\/1.1 4/)
    expect(lab.taken).toEqual([])
  })

  it('whose head comes in pieces is left to Node, one whose body does is taken', async () => {
    const lab = await openFront()
    const [head = '', body = ''] = plain('{"a":"b"}').split('\r\n\r\n')
    expect(await answersOf(lab, [head.slice(0, 40), `${head.slice(40)}\r\n\r\n${body}`], 1)).toEqual(['node'])
    expect(lab.taken).toEqual([])
    expect(await answersOf(lab, [`${head}\r\n\r\n`, body.slice(0, 4), body.slice(4)], 1)).toEqual(['front'])
    expect(lab.taken).toEqual(['{"a":"b"}'])
  })

  it('is left to Node while the gateway leaves', async () => {
    const lab = await openFront()
    lab.serves = false
    expect(await answersOf(lab, [plain()], 1)).toEqual(['node'])
  })
})
