// Keys that are replaced while the gateway runs: as an operator rotates them, and as one takes a leaked key out.
import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hashKey } from '../../gateway/admission/keys.ts'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { chatBody, LONG } from '../helpers/client.ts'
import {
  type GatewayProcess,
  KEY,
  KEY_FILE,
  ROOMY,
  readMetric,
  SMALL_KEY,
  spawnGateway,
  startEngines,
  testConfig,
  until
} from '../helpers/gateway.ts'
import { closeTalks, create, talkTo } from '../helpers/websocket.ts'

const NEW_KEY = 'sk-test-of-next-year'
const NEW_ENTRY = { id: 'new', hash: hashKey(KEY_FILE.salt, NEW_KEY) }
const [OLD_ENTRY, SMALL_ENTRY] = KEY_FILE.keys

describe.each(['auto', 'fastify'] as const)('keys of a gateway whose clients are served by %s', (clientServer) => {
  let engines: SimEngine[]
  let gateway: GatewayProcess
  beforeAll(async () => {
    engines = await startEngines([{ ...ROOMY, pace: { prefillOverheadMs: 2, prefillPerTokenMs: 0, interTokenMs: 10 } }])
    const urls = engines.map(({ url }) => url)
    gateway = await spawnGateway(testConfig(urls, { config: { clientServer, keysReloadMs: 100 } }))
  })
  afterAll(async () => {
    closeTalks()
    await gateway?.[Symbol.asyncDispose]()
    await Promise.all(engines.map((engine) => engine.close()))
  })

  const ask = (key: string, more: object = { max_tokens: 2 }) =>
    fetch(`${gateway.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(chatBody({ stream: true, ...more }))
    })
  const statusOf = async (key: string) => {
    const response = await ask(key)
    await response.text()
    return response.status
  }
  const write = (...keys: unknown[]) => writeFileSync(gateway.keysFile, JSON.stringify({ ...KEY_FILE, keys }))
  const untilStatus = (key: string, status: number) =>
    until(`${key} gets ${status}`, async () => (await statusOf(key)) === status)

  it('are valid without a restart as soon as they are in the file, beside those before', async () => {
    expect(await statusOf(NEW_KEY)).toBe(401)
    write(OLD_ENTRY, SMALL_ENTRY, NEW_ENTRY)
    await untilStatus(NEW_KEY, 200)
    expect(await statusOf(KEY)).toBe(200)
    await until('it is logged', () => gateway.output().includes('"keys":3'))
  })

  it('that are taken out are refused though they were right before, and what they began comes to its end', async () => {
    const response = await ask(KEY, { max_tokens: 300, ignore_eos: true })
    const socket = await talkTo(gateway.address, { key: KEY })
    const other = await talkTo(gateway.address, { key: NEW_KEY })
    socket.say(create('a', LONG))
    await socket.hear({ type: 'chunk', id: 'a' })
    write(SMALL_ENTRY, NEW_ENTRY)
    await untilStatus(KEY, 401)
    socket.say(create('b', { max_tokens: 2 }))
    expect(await socket.hear({ type: 'error', id: 'b' })).toMatchObject({ error: { code: 'invalid_api_key' } })
    socket.say({ type: 'cancel', id: 'a' })
    expect(await socket.closed).toEqual({ code: 1008, reason: 'invalid_api_key' })
    other.say(create('c', { max_tokens: 2 }))
    await other.hear({ type: 'done', id: 'c' })
    const answer = await response.text()
    expect(answer).toContain('"finish_reason":"length"')
    expect(answer).toContain('data: [DONE]')
  })

  it('have the rights that the file gives them now', async () => {
    write({ ...SMALL_ENTRY, maxOutputTokens: 3 }, NEW_ENTRY)
    await until('three tokens are the most', async () => {
      const text = await (await ask(SMALL_KEY, { max_tokens: 10, ignore_eos: true })).text()
      return text.match(/"content":"[^"]+"/g)?.length === 3
    })
  })

  it('stay in force while the file is broken, and metrics and log say so', async () => {
    writeFileSync(gateway.keysFile, '{"salt"')
    const isNewest = () => readMetric(gateway.address, 'sluice_keys_last_reload_successful')
    await until('the file is refused', async () => (await isNewest()) === 0)
    expect(await statusOf(NEW_KEY)).toBe(200)
    await until('it is logged', () => gateway.output().includes('keys could not be replaced'))
    expect(gateway.output()).not.toContain(NEW_KEY)
    write(NEW_ENTRY)
    await until('the file is taken', async () => (await isNewest()) === 1)
    expect(await statusOf(SMALL_KEY)).toBe(401)
    const readAt = await readMetric(gateway.address, 'sluice_keys_last_reload_success_timestamp_seconds')
    expect(Math.abs(Date.now() / 1000 - readAt)).toBeLessThan(30)
  })
})
