// Tokens are counted as the engine counts them, and a client that did not ask for usage never notices.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openChat, textOf } from '../helpers/client.ts'
import { DONE_EVENT, FINISH, ROLE, TEXT, USAGE } from '../helpers/fakes.ts'
import { MODEL, startBy, type TestGateway, until, WAYS } from '../helpers/gateway.ts'
import { type ScriptedEngine, startScriptedEngine, streamResponse } from '../helpers/scripted-engine.ts'
import { chunksOf, newRequestId, recordOf, stream, usageOfWhole } from '../helpers/told.ts'

describe.each(WAYS)('by way of %s,', (way) => {
  const startGateway = startBy(way)
  let gateway: TestGateway
  let raw: TestGateway
  let scripted: ScriptedEngine
  const EXACT = { max_tokens: 7, ignore_eos: true }

  beforeAll(async () => {
    scripted = await startScriptedEngine(() => {})
    gateway = await startGateway()
    raw = await startGateway({ engines: [], urls: [scripted.url] })
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await raw[Symbol.asyncDispose]()
    await scripted[Symbol.asyncDispose]()
  })

  const askedOf = (asked: TestGateway) => asked.engines[0]?.stats.recent.at(-1)?.body as Record<string, unknown>
  const says = (...events: string[]) => {
    scripted.script = ({ socket }) => void socket.write(streamResponse(events.join('')))
    return events.join('')
  }
  const isUsageOnly = (chunk: { choices: unknown[] }) => chunk.choices.length === 0
  const finishOf = (chunk: { choices: { finish_reason?: string }[] }) => chunk.choices[0]?.finish_reason

  describe('a client that does not ask for usage', () => {
    it.each([undefined, null, {}, { include_usage: false }, { include_usage: null }])(
      'but says stream_options: %j gets none, though the engine is asked',
      async (stream_options) => {
        const { events } = await stream(gateway, { ...EXACT, ...(stream_options !== undefined && { stream_options }) })
        expect(askedOf(gateway).stream_options).toEqual({ include_usage: true })
        const chunks = chunksOf(events)
        expect(chunks.filter(isUsageOnly)).toEqual([])
        expect(finishOf(chunks.at(-1))).toBe('length')
        expect(events.at(-1)).toBe('[DONE]')
        expect(events).toHaveLength(1 + 7 + 1)
      }
    )

    it('gets none either where it comes in one piece with its neighbours', async () => {
      const [before, after] = [[ROLE(), TEXT('a'), FINISH('stop')], [DONE_EVENT]]
      says(...before, USAGE(5, 2), ...after)
      const { text, record } = await stream(raw)
      expect(text).toBe([...before, ...after].join(''))
      expect(record).toMatchObject({ outcome: 'complete', promptTokens: 5, outputTokens: 2 })
    })

    it('keeps a chunk that carries usage and a choice', async () => {
      const finish = FINISH('stop').replace(
        '}\n\n',
        ',"usage":{"prompt_tokens":5,"completion_tokens":9,"total_tokens":14}}\n\n'
      )
      const sent = says(ROLE(), TEXT('a'), finish, DONE_EVENT)
      const { text, record } = await stream(raw)
      expect([text, record.outputTokens, record.promptTokens]).toEqual([sent, 9, 5])
    })
  })

  it('a client that asks for usage gets it, once and exact', async () => {
    const { events, record } = await stream(gateway, { ...EXACT, stream_options: { include_usage: true } })
    const chunks = chunksOf(events)
    expect(chunks.filter(isUsageOnly)).toHaveLength(1)
    expect(chunks.at(-1).usage).toMatchObject({ completion_tokens: 7, prompt_tokens: record.promptTokens })
    expect(record.outputTokens).toBe(7)
  })

  it('other stream options of a client reach the engine', async () => {
    await stream(gateway, { ...EXACT, stream_options: { include_obfuscation: false, x: [1.0, '猫'] } })
    expect(askedOf(gateway).stream_options).toEqual({ include_obfuscation: false, x: [1, '猫'], include_usage: true })
  })

  it('an answer in one piece is asked for without stream options', async () => {
    expect((await usageOfWhole(gateway, EXACT)).completion_tokens).toBe(7)
    expect(askedOf(gateway)).not.toHaveProperty('stream_options')
  })

  describe('the record has the exact count', () => {
    /** Expects the log to have it, and the metrics to have grown by it. */
    async function expectCount(asked: TestGateway, count: number, run: () => ReturnType<typeof stream>) {
      const output = { gen_ai_token_type: 'output' }
      const read = async () => [
        await asked.metric('sluice_output_tokens_total'),
        await asked.metric('gen_ai_client_token_usage_sum', output),
        await asked.metric('gen_ai_client_token_usage_count', output)
      ]
      const before = await read()
      const told = await run()
      expect(told.record).toMatchObject({ outcome: 'complete', outputTokens: count })
      const grown = (await read()).map((value, index) => value - (before[index] ?? 0))
      expect(grown).toEqual([count, count, 1])
      return told
    }

    it('of several choices', async () => {
      await expectCount(gateway, 21, () => stream(gateway, { ...EXACT, n: 3 }))
    })

    it('of several choices in one piece', async () => {
      const requestId = newRequestId()
      const open = openChat(gateway.address, { body: { ...EXACT, n: 3 }, headers: { 'x-request-id': requestId } })
      for await (const _ of await open.head);
      expect(await recordOf(gateway, requestId)).toMatchObject({ outputTokens: 21 })
    })

    it('of an answer that a stop string ends, whose last tokens were never shown', async () => {
      const asked = { max_tokens: 60, ignore_eos: true, seed: 5 }
      const whole = textOf((await stream(gateway, asked)).text)
      const stop = whole.slice(whole.length / 2, whole.length / 2 + 9)
      const { completion_tokens } = await usageOfWhole(gateway, { ...asked, stop })
      expect(completion_tokens).toBeGreaterThan(5)
      expect(completion_tokens).toBeLessThan(60)
      const { text } = await expectCount(gateway, completion_tokens, () => stream(gateway, { ...asked, stop }))
      expect(textOf(text)).toBe(whole.slice(0, whole.indexOf(stop)))
    })

    it.each([
      ['several prompts', ['One.', 'Two.', 'Three.'], 2, 30],
      ['a prompt of tokens', [1, 2, 3], 1, 5],
      ['several prompts of tokens', [[1, 2], [3]], 2, 20]
    ])('of a completion with %s', async (_what, prompt, n, count) => {
      const body = { model: MODEL, prompt, n, max_tokens: 5, ignore_eos: true }
      const { events } = await expectCount(gateway, count, () => stream(gateway, body, { path: '/v1/completions' }))
      expect(chunksOf(events).filter((chunk) => finishOf(chunk) === 'length')).toHaveLength(count / 5)
    })

    it('of chunks that carry several tokens each', async () => {
      says(ROLE(), TEXT('one two three four '), TEXT('five six seven eight'), FINISH('stop'), USAGE(9, 40), DONE_EVENT)
      await expectCount(raw, 40, () => stream(raw))
    })

    it('of tool calls and of reasoning', async () => {
      const delta = (more: object) => TEXT('').replace('{"content":""}', JSON.stringify(more))
      const call = (args: string) => delta({ tool_calls: [{ index: 0, function: { arguments: args } }] })
      const sent = [
        ROLE(),
        delta({ reasoning: 'Hm.' }),
        delta({ reasoning_content: 'Well.' }),
        call('{"a":'),
        call('1}')
      ]
      says(...sent, FINISH('tool_calls'), USAGE(9, 33), DONE_EVENT)
      const { text, record } = await expectCount(raw, 33, () => stream(raw))
      expect(text).toBe([...sent, FINISH('tool_calls'), DONE_EVENT].join(''))
      expect(record.ttftMs).toBeGreaterThan(0)
    })

    it('of an answer without any text', async () => {
      says(ROLE(), FINISH('stop'), USAGE(9, 1), DONE_EVENT)
      const { text } = await expectCount(raw, 1, () => stream(raw))
      expect(text).toBe([ROLE(), FINISH('stop'), DONE_EVENT].join(''))
    })
  })

  describe('a stream that is cancelled', () => {
    /** Leaves an engine that falls silent after `events` tokens, when all have come; says what the record counts. */
    async function cancelAfter(events: number, body: Record<string, unknown>) {
      await using slow = await startGateway({ engines: [{ faults: [{ kind: 'stall', afterTokens: events }] }] })
      const requestId = newRequestId()
      const open = openChat(slow.address, {
        body: { max_tokens: 5_000, ignore_eos: true, ...body, stream: true },
        headers: { 'x-request-id': requestId }
      })
      const response = await open.head
      let text = ''
      const count = () => text.split('"finish_reason":null').length - 1 - (text.split('"role"').length - 1)
      await new Promise<void>((resolve) => {
        response.on('error', () => {})
        response.on('data', (bytes) => {
          text += bytes
          if (count() >= events) resolve()
        })
      })
      open.leave()
      const record = await recordOf(slow, requestId)
      await until(
        'it is counted',
        async () => (await slow.metric('sluice_output_tokens_total')) === record.outputTokens
      )
      expect(record.outcome).toBe('client_gone')
      expect(count()).toBe(events)
      return record.outputTokens
    }

    it.each([
      ['one choice', {}],
      ['two choices', { n: 2 }],
      ['two choices whose every chunk carries usage', { n: 2, stream_options: { continuous_usage_stats: true } }]
    ])('of %s has the tokens that were delivered', async (_what, body) => {
      expect(await cancelAfter(24, body)).toBe(24)
    })
  })

  describe('a gateway that is told not to count usage', () => {
    it('asks the engine for nothing, and counts events', async () => {
      await using plain = await startGateway({ config: { countUsage: false } })
      const { record, events } = await stream(plain, EXACT)
      expect(askedOf(plain)).not.toHaveProperty('stream_options')
      expect(record.outputTokens).toBe(7)
      expect(events).toHaveLength(1 + 7 + 1)
    })

    it('leaves a client’s own wish as it is', async () => {
      await using plain = await startGateway({ config: { countUsage: false } })
      const { events } = await stream(plain, { ...EXACT, stream_options: { include_usage: true } })
      expect(chunksOf(events).filter(isUsageOnly)).toHaveLength(1)
    })
  })
})
