// An engine with one place and no line: requests that come one after the other on one connection find it free each time.
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { chatBody } from '../helpers/client.ts'
import { expectNothingLeft, KEY, startBy, type TestGateway, until } from '../helpers/gateway.ts'
import { closeTalks } from '../helpers/websocket.ts'
import { createResponse, ended, talkOfResponses } from '../helpers/websocket-responses.ts'

const COUNT = 12
let gateway: TestGateway

beforeAll(async () => {
  gateway = await startBy('auto')({ pool: { maxActivePerEngine: 1, maxQueued: 0 } })
})
afterEach(closeTalks)
afterAll(() => gateway[Symbol.asyncDispose]())

describe('requests one after the other', () => {
  it('on a connection that sends all of them ahead are answered', async () => {
    const { hostname, port } = new URL(gateway.address)
    const body = JSON.stringify({ ...chatBody({ max_tokens: 2 }), stream: true })
    const head = `host: x\r\nauthorization: Bearer ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`
    const socket = connect(Number(port), hostname)
    let text = ''
    socket.on('data', (bytes) => (text += bytes))
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\n${head}\r\n\r\n${body}`.repeat(COUNT))
    const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    await until('all are answered', () => statuses().length === COUNT && text.endsWith('0\r\n\r\n'))
    socket.destroy()
    expect(statuses()).toEqual(Array(COUNT).fill('200'))
    await expectNothingLeft(gateway)
  })

  it('in a lane of a WebSocket are answered', async () => {
    const talk = await talkOfResponses(gateway)
    for (let i = 0; i < COUNT; i++) talk.say(createResponse({ stream_id: 'a', max_output_tokens: 2 }))
    await ended(talk, 'a', COUNT)
    expect(talk.heard.filter(({ type }) => type === 'error')).toEqual([])
    await expectNothingLeft(gateway)
  })
})
