// Transcriptions: forms that pass through, whatever the order of their fields, bounded, capped and cancelled like the rest.
import { request } from 'node:http'
import OpenAI, { toFile } from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventsOf, jsonOf } from '../helpers/client.ts'
import { KEY, MODEL, startBy, type TestGateway, type TestOptions, until, WAYS } from '../helpers/gateway.ts'
import { LISTENER, withTasks } from '../helpers/tasks.ts'

const MIB = 1_048_576
const SOUND = Buffer.alloc(64_000, 'sound')

describe.each(WAYS)('by way of %s,', (way) => {
  const start = (options: TestOptions = {}) => startBy(way)(withTasks({ engines: [{}, {}], ...options }))
  let gateway: TestGateway
  let client: OpenAI
  beforeEach(async () => {
    gateway = await start()
    client = new OpenAI({ baseURL: `${gateway.address}/v1`, apiKey: KEY, maxRetries: 0 })
  })
  afterEach(() => gateway[Symbol.asyncDispose]())

  type Part = readonly [name: string, value: string | Buffer]
  const lastLog = () => gateway.log.findLast((line) => line.message === 'request')
  const asked = () => gateway.engines.flatMap(({ stats }) => stats.recent)
  const post = (parts: readonly Part[], address = gateway.address, path = '/v1/audio/transcriptions') => {
    const form = new FormData()
    for (const [name, value] of parts) {
      if (typeof value === 'string') form.append(name, value)
      else form.append(name, new File([new Uint8Array(value)], 'river "1".wav', { type: 'audio/wav' }))
    }
    return fetch(`${address}${path}`, { method: 'POST', headers: { authorization: `Bearer ${KEY}` }, body: form })
  }
  const MODEL_PART: Part = ['model', LISTENER]
  const FILE: Part = ['file', SOUND]

  /** Sends a file until its engine could not be reached and another one was asked; none is refused. */
  async function expectRetried(file: Part): Promise<void> {
    // no probe takes the engine away before a request has met it
    await using half = await start({ config: { healthIntervalMs: 60_000 } })
    await until('both engines are well', async () => (await half.metric('sluice_engine_up')) === 2)
    await half.engines[0]?.close()
    const retries = () => half.metric('sluice_retries_total')
    for (let tries = 0; tries < 20 && (await retries()) === 0; tries++)
      expect((await post([MODEL_PART, file], half.address)).status).toBe(200)
    expect(await retries()).toBeGreaterThan(0)
  }

  describe('the official SDK', () => {
    it('gets a transcription', async () => {
      const file = await toFile(SOUND, 'river.wav')
      const { text } = await client.audio.transcriptions.create({ file, model: LISTENER, prompt: 'Rivers.' })
      expect(text).toMatch(/\w/)
      expect(asked()[0]?.body).toMatchObject({ model: LISTENER, prompt: 'Rivers.', max_completion_tokens: '300' })
      await until('it is told', () => lastLog()?.path === '/v1/audio/transcriptions')
      expect(lastLog()).toMatchObject({ outcome: 'complete', model: LISTENER, maxTokens: 300, attempts: 1 })
    })

    it('streams one, whose tokens are counted and not shown', async () => {
      const file = await toFile(SOUND, 'river.wav')
      const stream = await client.audio.transcriptions.create({ file, model: LISTENER, stream: true })
      const chunks: { choices?: { delta?: { content?: string } }[]; usage?: unknown }[] = []
      for await (const chunk of stream) chunks.push(chunk as (typeof chunks)[number])
      expect(chunks.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join('')).toMatch(/\w/)
      expect(chunks.some(({ usage }) => usage !== undefined)).toBe(false)
      await until('it is told', () => lastLog()?.stream === true)
      expect(lastLog()?.outputTokens).toBe(chunks.length)
    })

    it('translates', async () => {
      const file = await toFile(SOUND, 'river.wav')
      expect((await client.audio.translations.create({ file, model: LISTENER })).text).toMatch(/\w/)
    })

    it('raises an exception when the engine dies in the middle of a stream', async () => {
      for (const engine of gateway.engines) engine.setFaults([{ kind: 'reset', afterTokens: 3 }])
      const file = await toFile(SOUND, 'river.wav')
      const stream = await client.audio.transcriptions.create({ file, model: LISTENER, stream: true })
      const read = async () => {
        for await (const _ of stream);
      }
      await expect(read()).rejects.toThrow(OpenAI.APIError)
    })

    it('is refused a model that hears nothing', async () => {
      const file = await toFile(SOUND, 'river.wav')
      const refused = client.audio.transcriptions.create({ file, model: MODEL })
      await expect(refused).rejects.toMatchObject({ status: 404, code: 'route_not_supported' })
    })
  })

  describe('a form', () => {
    it.each([
      ['with its model first', [MODEL_PART, FILE]],
      ['with its file first', [FILE, MODEL_PART]]
    ] as [string, Part[]][])('%s reaches the engine with the very file', async (_order, parts) => {
      const response = await post([...parts, ['language', 'fr']])
      expect((await jsonOf(response)).usage).toEqual({ type: 'duration', seconds: 2 })
      expect(asked()[0]?.body).toEqual({
        model: LISTENER,
        stream: 'false',
        language: 'fr',
        max_completion_tokens: '300'
      })
      expect(response.headers.get('x-sluice-max-tokens')).toBe('300')
    })

    it('that asks for less gets less, and one that says so twice is believed once', async () => {
      const response = await post([MODEL_PART, ['max_completion_tokens', '9'], FILE, ['max_completion_tokens', '5']])
      expect(response.headers.get('x-sluice-max-tokens')).toBe('5')
      expect(asked()[0]?.body).toMatchObject({ max_completion_tokens: '5' })
    })

    it('is sent to another engine when the first can’t be reached', async () => {
      await expectRetried(FILE)
    })

    it.each([
      ['without a model', [FILE], 400, 'model'],
      ['with two files', [MODEL_PART, FILE, FILE], 400, null],
      ['with a stream that is no truth', [MODEL_PART, ['stream', 'perhaps'], FILE], 400, 'stream'],
      ['of a model that nobody has', [['model', 'nobody'], FILE], 404, 'model'],
      ['without a file', [MODEL_PART], 422, 'file']
    ] as [string, Part[], number, string | null][])('%s is refused', async (_what, parts, status, param) => {
      const response = await post(parts)
      expect([response.status, (await jsonOf(response)).error.param]).toEqual([status, param])
    })

    it('that is none is refused', async () => {
      const headers = { authorization: `Bearer ${KEY}` }
      const url = `${gateway.address}/v1/audio/transcriptions`
      const json = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: '{}'
      })
      expect([json.status, (await jsonOf(json)).error.message]).toEqual([415, expect.stringContaining('multipart')])
      const torn = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'multipart/form-data; boundary=x' },
        body: '--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nlist'
      })
      expect(torn.status).toBe(400)
    })
  })

  describe('a large upload', () => {
    /** Sends a form by hand: `head`, then as much of a file as the test asks for. */
    const upload = (address = gateway.address, fields: readonly Part[] = [MODEL_PART]) => {
      const sent = request(`${address}/v1/audio/transcriptions`, {
        method: 'POST',
        agent: false,
        headers: { authorization: `Bearer ${KEY}`, 'content-type': 'multipart/form-data; boundary=x' }
      })
      const answer = new Promise<{ status: number; body: string }>((resolve, reject) => {
        sent.on('error', reject)
        sent.on('response', async (response) => {
          let body = ''
          for await (const bytes of response) body += bytes
          resolve({ status: response.statusCode ?? 0, body })
        })
      })
      answer.catch(() => undefined)
      const field = ([name, value]: Part) => `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
      sent.write(fields.map(field).join(''))
      sent.write('--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n')
      return { sent, answer, end: (more = '') => sent.end(`\r\n${more}--x--\r\n`), field }
    }

    it('goes to an engine before it is whole, and reaches it whole', async () => {
      const { sent, answer, end } = upload()
      sent.write(Buffer.alloc(3 * MIB, 1))
      await until('an engine has it', async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 1)
      sent.write(Buffer.alloc(MIB, 2))
      end()
      const { status, body } = await answer
      expect([status, JSON.parse(body).usage.seconds]).toEqual([200, Math.ceil((4 * MIB) / 32_000)])
    })

    it('may be larger than a body of JSON', async () => {
      const response = await post([MODEL_PART, ['file', Buffer.alloc(12 * MIB, 1)]])
      expect([response.status, (await jsonOf(response)).usage.seconds]).toEqual([200, Math.ceil((12 * MIB) / 32_000)])
    })

    it('is asked of no other engine once one has had a part of it', async () => {
      for (const engine of gateway.engines) engine.setFaults([{ kind: 'status', status: 503 }])
      const response = await post([MODEL_PART, ['file', Buffer.alloc(3 * MIB, 1)]])
      expect([response.status, (await jsonOf(response)).error.code]).toEqual([503, 'engine_overloaded'])
      await until('it is told', () => lastLog() !== undefined)
      expect(lastLog()).toMatchObject({ attempts: 1, maxTokens: 300 })
    })

    it('goes to another engine while none has had a part of it', async () => {
      await expectRetried(['file', Buffer.alloc(3 * MIB, 1)])
    })

    it('frees the engine when its client leaves in the middle', async () => {
      const { sent } = upload()
      sent.write(Buffer.alloc(3 * MIB, 1))
      await until('an engine has it', async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 1)
      sent.destroy()
      await until('it is told', () => lastLog()?.outcome === 'client_gone')
      await until('nothing is open', async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 0)
    })

    it('may say what does not decide after the file, and is told what must stand before it', async () => {
      const late = upload()
      late.sent.write(Buffer.alloc(3 * MIB, 1))
      await until('an engine has it', async () => (await gateway.metric('sluice_engine_in_flight_requests')) === 1)
      late.end(late.field(['language', 'fr']) + late.field(['stream', 'true']))
      const { status, body } = await late.answer
      expect([status, JSON.parse(body).error]).toEqual([
        400,
        expect.objectContaining({
          code: 'invalid_request',
          param: 'stream',
          message: expect.stringContaining('before the file')
        })
      ])
      expect(await gateway.metric('sluice_engine_in_flight_requests')).toBe(0)
      const fine = upload()
      fine.sent.write(Buffer.alloc(3 * MIB, 1))
      fine.end(fine.field(['language', 'fr']))
      expect((await fine.answer).status).toBe(200)
    })

    it('that is too large is refused, and no engine is blamed', async () => {
      await using small = await start({ config: { maxUploadBytes: 2 * MIB } })
      for (let tries = 0; tries < 6; tries++) {
        const { sent, answer, end } = upload(small.address)
        sent.write(Buffer.alloc(3 * MIB, 1))
        end()
        expect((await answer).status).toBe(413)
      }
      const { sent, answer, end } = upload(small.address)
      sent.write(SOUND)
      end()
      expect((await answer).status).toBe(200)
    })

    it('whose model comes last is held up to the size of a body, and then refused with the remedy', async () => {
      await using small = await start({ config: { maxBodyBytes: 2 * MIB } })
      const fits = upload(small.address, [])
      fits.sent.write(Buffer.alloc(MIB + 100_000, 1))
      fits.end(fits.field(MODEL_PART))
      expect((await fits.answer).status).toBe(200)
      const { sent, answer } = upload(small.address, [])
      sent.write(Buffer.alloc(3 * MIB, 1))
      const { status, body } = await answer
      expect([status, JSON.parse(body).error.message]).toEqual([413, expect.stringContaining('model before a file')])
    })

    it('waits for its turn with everybody else', async () => {
      await using busy = await start({ engines: [{}], pool: { maxActivePerEngine: 1, maxQueued: 0 } })
      const first = upload(busy.address)
      first.sent.write(Buffer.alloc(3 * MIB, 1))
      await until('an engine has it', async () => (await busy.metric('sluice_engine_in_flight_requests')) === 1)
      const second = upload(busy.address)
      second.sent.write(Buffer.alloc(3 * MIB, 1))
      expect((await second.answer).status).toBe(429)
      first.end()
      expect((await first.answer).status).toBe(200)
    })

    it('that is slow is no wait in line, and has all the time for one', async () => {
      await using full = await start({ engines: [{}], pool: { queueMs: 1_000 } })
      full.engines[0]?.setFaults([{ kind: 'status', status: 503, times: 1 }])
      const { sent, answer, end } = upload(full.address)
      sent.write(SOUND)
      await new Promise((resolve) => setTimeout(resolve, 1_200))
      end()
      expect((await answer).status).toBe(200)
      const record = () => full.log.find((line) => line.message === 'request')
      await until('it is told', () => record() !== undefined)
      expect(record()).toMatchObject({ outcome: 'complete', attempts: 2 })
      expect(Number(record()?.queuedMs)).toBeLessThan(1_000)
    })

    it('that is slow costs its engine nothing', async () => {
      await using hasty = await start({ engines: [{}], config: { budget: { firstTokenMs: 1_000, connectMs: 1_000 } } })
      const { sent, answer, end } = upload(hasty.address, [MODEL_PART, ['stream', 'true']])
      sent.write(Buffer.alloc(3 * MIB, 1))
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      end()
      const { status, body } = await answer
      expect([status, eventsOf(body).at(-1)]).toEqual([200, '[DONE]'])
    })
  })
})
