// Which requests may become WebSockets, and whose.
import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import type { Principal } from '../../../../gateway/call.ts'
import {
  checkOrigin,
  chooseProtocol,
  readPrincipal,
  wantsWebSocket
} from '../../../../gateway/routes/websocket/handshake.ts'

const request = (more: { method?: string; url?: string; upgrade?: string }) => {
  const { method = 'GET', url = '/v1/responses', upgrade = 'websocket' } = more
  return { method, url, headers: { upgrade } } as IncomingMessage
}

describe('a request', () => {
  it.each([
    [{}, true],
    [{ upgrade: 'WebSocket' }, true],
    [{ url: '/v1/chat/completions?a=b' }, true],
    [{ upgrade: 'h2c' }, false],
    [{ method: 'POST' }, false],
    [{ url: '/v1/completions' }, false],
    [{ url: '/v1/responses/' }, false],
    [{ url: '//v1/responses' }, false],
    [{ url: '/V1/responses' }, false]
  ])('with %j becomes a WebSocket: %j', (more, wanted) => {
    expect(wantsWebSocket(request(more))).toBe(wanted)
  })
})

describe('an origin', () => {
  const allowed = ['https://app.example.com', 'http://localhost:3000']
  it.each([undefined, ...allowed])('%j is let in', (origin) => {
    expect(() => checkOrigin(origin === undefined ? {} : { origin }, allowed)).not.toThrow()
  })

  it.each(['https://app.example.com.evil.com', 'http://app.example.com', 'null', '*', ''])('%j is not', (origin) => {
    expect(() => checkOrigin({ origin }, allowed)).toThrow(/origin/)
  })

  it.each([
    ['https://llm.example.com', 'llm.example.com', true],
    ['http://127.0.0.1:8080', '127.0.0.1:8080', true],
    ['http://127.0.0.1:3000', '127.0.0.1:8080', false],
    ['https://llm.example.com.evil.com', 'llm.example.com', false],
    ['null', '', false]
  ])('%j at the address %j is let in: %j', (origin, host, isLetIn) => {
    const check = () => checkOrigin({ origin, host }, allowed)
    if (isLetIn) expect(check).not.toThrow()
    else expect(check).toThrow(/origin/)
  })

  it.each(['https://anybody.example.com', 'null'])('%j is let in where every one is', (origin) => {
    expect(() => checkOrigin({ origin }, ['*'])).not.toThrow()
  })
})

describe('the subprotocol', () => {
  it('is never the one with the key', () => {
    expect(chooseProtocol(new Set(['openai-insecure-api-key.sk-1']))).toBe(false)
    expect(chooseProtocol(new Set(['openai-insecure-api-key.sk-1', 'other', 'realtime']))).toBe('realtime')
  })
})

describe('the key', () => {
  const read = (headers: Record<string, string>) => {
    let given: string | undefined
    readPrincipal(headers, (authorization) => {
      given = authorization
      return {} as Principal
    })
    return given
  }

  it.each([
    [{ authorization: 'Bearer a' }, 'Bearer a'],
    [{ 'sec-websocket-protocol': 'sluice,openai-insecure-api-key.b' }, 'Bearer b'],
    [{ 'sec-websocket-protocol': ' openai-insecure-api-key.b , realtime ' }, 'Bearer b'],
    [{ authorization: 'Bearer a', 'sec-websocket-protocol': 'openai-insecure-api-key.b' }, 'Bearer a'],
    [{ 'x-api-key': 'c' }, 'Bearer c'],
    [{ 'sec-websocket-protocol': 'sluice' }, undefined],
    [{}, undefined]
  ])('of %j is %j', (headers, expected) => {
    expect(read(headers as Record<string, string>)).toBe(expected)
  })

  it('alone is refused, for a browser would close the connection', () => {
    expect(() => read({ 'sec-websocket-protocol': 'openai-insecure-api-key.b' })).toThrow(
      /Offer one of the subprotocols/
    )
  })
})
