// OpenAI's WebSocket mode as an engine sees it: what was said before goes with what is new, and is forgotten in time.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MODEL, startGateway, type TestGateway } from '../helpers/gateway.ts'
import { type ScriptedEngine, startScriptedEngine, streamResponse } from '../helpers/scripted-engine.ts'
import { closeTalks } from '../helpers/websocket.ts'
import { createResponse, ended, talkOfResponses } from '../helpers/websocket-responses.ts'

afterEach(closeTalks)

/** An engine that tells what it was asked, and answers as it is told. */
describe('what an engine is sent', () => {
  let engine: ScriptedEngine
  let gateway: TestGateway
  let failing = false
  const output = [
    { id: 'msg_1', type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Yes, "so".' }] }
  ]
  beforeAll(async () => {
    let answers = 0
    engine = await startScriptedEngine(({ socket }) => {
      const response = {
        id: `resp_${++answers}`,
        status: 'completed',
        output,
        usage: { input_tokens: 1, output_tokens: 2 }
      }
      const event = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
      const payload = failing
        ? event('response.output_text.delta', { delta: 'Y' })
        : event('response.created', { response: { id: response.id } }) +
          event('response.output_text.delta', { delta: 'says "response.completed"' }) +
          event('response.completed', { response })
      socket.write(streamResponse(payload))
    })
    gateway = await startGateway({ engines: [], urls: [engine.url], config: { websocket: { historyBytes: 2_000 } } })
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await engine[Symbol.asyncDispose]()
  })
  const sent = () => engine.requests.at(-1)?.body

  it('is the event without what is of the WebSocket', async () => {
    const ours = await talkOfResponses(gateway)
    ours.say(createResponse({ stream_id: 'a', temperature: 0.5, instructions: 'Be brief.' }))
    await ended(ours, 'a')
    expect(sent()).toEqual({
      model: MODEL,
      input: 'Tell me of rivers.',
      temperature: 0.5,
      instructions: 'Be brief.',
      stream: true,
      store: false,
      max_output_tokens: 100_000
    })
  })

  it('is everything that was said before, and then what is new, whichever lane goes on from it', async () => {
    const ours = await talkOfResponses(gateway)
    const user = (content: string) => ({ type: 'message', role: 'user', content })
    ours.say(createResponse({ stream_id: 'a', input: 'One "quoted"' }))
    const { id } = await ended(ours, 'a')
    const more = [{ type: 'function_call_output', call_id: 'c', output: '1.50' }]
    ours.say(createResponse({ stream_id: 'a', previous_response_id: id, input: more }))
    const next = await ended(ours, 'a', 2)
    expect(sent().input).toEqual([user('One "quoted"'), ...output, ...more])
    ours.say(createResponse({ stream_id: 'b', previous_response_id: next.id, input: 'Fork' }))
    await ended(ours, 'b')
    expect(sent().input).toEqual([user('One "quoted"'), ...output, ...more, ...output, user('Fork')])
    // a lane keeps its newest only
    ours.say(createResponse({ stream_id: 'a', previous_response_id: id }))
    expect(await ours.hear({ type: 'error' })).toMatchObject({ error: { code: 'previous_response_not_found' } })
  })

  it('is nothing for a response that only prepares, and its input once the next one goes on from it', async () => {
    const ours = await talkOfResponses(gateway)
    const before = engine.requests.length
    ours.say(createResponse({ generate: false, input: [{ role: 'user', content: 'Prepared' }] }))
    const { id, status, output: none } = await ended(ours, undefined)
    expect([status, none]).toEqual(['completed', []])
    expect(ours.heard.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.completed'
    ])
    expect(engine.requests.length).toBe(before)
    ours.say(createResponse({ previous_response_id: id, input: [] }))
    await ended(ours, undefined, 2)
    expect(sent().input).toEqual([{ role: 'user', content: 'Prepared' }])
  })

  it('is never what another connection said', async () => {
    const [ours, others] = [await talkOfResponses(gateway), await talkOfResponses(gateway)]
    ours.say(createResponse())
    const { id } = await ended(ours, undefined)
    others.say(createResponse({ previous_response_id: id }))
    expect(await others.hear({ type: 'error' })).toMatchObject({ error: { code: 'previous_response_not_found' } })
  })

  it('is forgotten by the lane that failed to go on from it, and not by the lane that it is of', async () => {
    const ours = await talkOfResponses(gateway)
    ours.say(createResponse({ stream_id: 'a' }))
    const { id } = await ended(ours, 'a')
    failing = true
    ours.say(createResponse({ stream_id: 'fork', previous_response_id: id }))
    expect(await ours.hear({ type: 'error', stream_id: 'fork' })).toMatchObject({ error: { code: 'upstream_error' } })
    ours.say(createResponse({ stream_id: 'a', previous_response_id: id }))
    expect(await ours.hear({ type: 'error', stream_id: 'a' })).toMatchObject({ error: { code: 'upstream_error' } })
    failing = false
    ours.say(createResponse({ stream_id: 'c', previous_response_id: id }))
    expect(await ours.hear({ type: 'error', stream_id: 'c' })).toMatchObject({
      error: { code: 'previous_response_not_found' }
    })
  })

  it('is bounded: what was said longest ago is forgotten first', async () => {
    const ours = await talkOfResponses(gateway)
    ours.say(createResponse({ stream_id: 'old', input: 'x'.repeat(900) }))
    const old = await ended(ours, 'old')
    ours.say(createResponse({ stream_id: 'new', input: 'y'.repeat(900) }))
    const young = await ended(ours, 'new')
    ours.say(createResponse({ stream_id: 'old', previous_response_id: old.id }))
    expect(await ours.hear({ type: 'error' })).toMatchObject({ error: { code: 'previous_response_not_found' } })
    ours.say(createResponse({ stream_id: 'new', previous_response_id: young.id }))
    await ended(ours, 'new', 2)
  })
})
