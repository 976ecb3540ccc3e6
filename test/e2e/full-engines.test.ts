// Several gateways fill one engine, which refuses what is too many: nobody is sent away for it while there is time to wait.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { chat, LONG, openChat, textOf } from '../helpers/client.ts'
import { expectNothingLeft, ROOMY, startBy, startEngines, type TestGateway, until, WAYS } from '../helpers/gateway.ts'
import { stream } from '../helpers/told.ts'

/** How many sequences the engine takes; each of the gateways may send it as many. */
const PLACES = 4
const TOKENS = { max_tokens: 20, ignore_eos: true }

describe.each(WAYS)('an engine that two gateways fill, by way of %s,', (way) => {
  let engine: SimEngine
  let gateways: TestGateway[]

  const start = (queueMs: number) =>
    startBy(way)({
      engines: [],
      urls: [engine.url],
      pool: { maxActivePerEngine: PLACES, queueMs },
      config: { budget: { heartbeatMs: 100 } }
    })

  beforeAll(async () => {
    const [only] = await startEngines([{ ...ROOMY, maxNumSeqs: PLACES, maxQueuedRequests: PLACES }])
    engine = only as SimEngine
    gateways = [await start(30_000), await start(30_000)]
  })
  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway[Symbol.asyncDispose]()))
    await engine.close()
  })

  const first = () => gateways[0] as TestGateway
  /** Fills the engine by way of the second gateway. */
  const fill = async () => {
    const holders = Array.from({ length: PLACES }, () =>
      openChat((gateways[1] as TestGateway).address, { body: { ...LONG, stream: true } })
    )
    for (const { head } of holders) void head.then((response) => response.on('error', () => {}).resume())
    await until('the engine is full', () => engine.stats.running === PLACES)
    return () => {
      for (const { leave } of holders) leave()
    }
  }

  it('answers each request of a crowd, though it refuses many at first', async () => {
    const crowd = gateways.flatMap((gateway) =>
      Array.from({ length: 5 * PLACES }, (_, at) =>
        at % 2 === 0
          ? stream(gateway, TOKENS).then(({ response }) => response)
          : chat(gateway.address, { body: TOKENS })
      )
    )
    const statuses = (await Promise.all(crowd)).map(({ status }) => status)
    expect(statuses).toEqual(Array(10 * PLACES).fill(200))
    const attempts = gateways.flatMap(({ log }) =>
      log.filter(({ message }) => message === 'request').map((line) => Number(line.attempts))
    )
    expect(Math.max(...attempts)).toBeGreaterThan(1)
    for (const gateway of gateways) await expectNothingLeft(gateway)
  })

  it('has whom it refused wait in the gateway’s line, hear beats, and be answered once there is room', async () => {
    const leave = await fill()
    const told = stream(first(), TOKENS)
    // in one look: it goes to the engine again by itself, and is back a moment later
    await until('it waits and holds no slot', async () => {
      const text = await (await fetch(`${first().address}/metrics`)).text()
      return /^sluice_queued_requests\{.*\} 1$/m.test(text) && /^sluice_active_requests\{.*\} 0$/m.test(text)
    })
    await new Promise((resolve) => setTimeout(resolve, 700))
    leave()
    const { response, text, record } = await told
    expect([response.status, text.startsWith(': '), textOf(text).length > 0]).toEqual([200, true, true])
    expect(record).toMatchObject({ outcome: 'complete', outputTokens: 20 })
    expect(Number(record.queuedMs)).toBeGreaterThan(500)
    await expectNothingLeft(first())
  })

  it('is asked no more for whom has left', async () => {
    const leave = await fill()
    const { leave: quit } = openChat(first().address, { body: { ...TOKENS, stream: true } })
    await until('it waits', async () => (await first().metric('sluice_queued_requests')) === 1)
    quit()
    await until('nobody waits', async () => (await first().metric('sluice_queued_requests')) === 0)
    leave()
    for (const gateway of gateways) await expectNothingLeft(gateway)
  })

  it('takes all that it has places for while a request waits that takes more than there are', async () => {
    const maxActive = () => first().metric('sluice_engine_max_active_requests')
    await until('no refusal is remembered', async () => (await maxActive()) === PLACES)
    const { leave } = openChat(first().address, { body: { ...TOKENS, n: PLACES + 1, stream: true } })
    await until('it waits', async () => (await first().metric('sluice_queued_requests')) === 1)
    const told = await Promise.all(Array.from({ length: 3 * PLACES }, () => stream(first(), TOKENS)))
    expect(told.map(({ record }) => [record.outcome, record.attempts])).toEqual(Array(3 * PLACES).fill(['complete', 1]))
    expect(await maxActive()).toBe(PLACES)
    leave()
    await expectNothingLeft(first())
  })

  it('is said to be full to whom has waited as long as it may', async () => {
    await using short = await start(700)
    const leave = await fill()
    const response = await chat(short.address, { body: TOKENS })
    leave()
    expect([response.status, await response.json()]).toMatchObject([503, { error: { code: 'engine_overloaded' } }])
    await expectNothingLeft(first())
  })
})

describe.each(WAYS)('an engine that failed and is well again, by way of %s,', (way) => {
  it('gets those who waited meanwhile, though every other one stays full', async () => {
    const config = { maxAttempts: 1 }
    await using gateway = await startBy(way)({ engines: [ROOMY, ROOMY], pool: { maxActivePerEngine: 1 }, config })
    await until('both engines are up', async () => (await gateway.metric('sluice_engine_up')) === 2)
    const holders = [1, 2].map(() => openChat(gateway.address, { body: { ...LONG, stream: true } }))
    for (const { head } of holders) (await head).on('error', () => {}).resume()
    holders[0]?.leave()
    await until('one is free', async () => (await gateway.metric('sluice_active_requests')) === 1)
    const isFree = ({ stats }: SimEngine) => stats.running === 0
    await until('it knows', () => gateway.engines.some(isFree))
    const engine = gateway.engines.find(isFree) as SimEngine
    engine.setFaults([{ kind: 'reset', afterTokens: 0 }])
    for (let i = 0; i < 3; i++) expect((await chat(gateway.address, { body: TOKENS })).status).toBe(502)
    engine.setFaults([])
    const { response, record } = await stream(gateway, TOKENS)
    expect([response.status, record.outcome]).toEqual([200, 'complete'])
    expect(Number(record.queuedMs)).toBeLessThan(5_000)
    holders[1]?.leave()
    await expectNothingLeft(gateway)
  })
})
