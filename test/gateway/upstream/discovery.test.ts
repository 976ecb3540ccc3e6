// Which engines a pool has, by its list or by DNS.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Endpoint } from '../../../gateway/call.ts'
import { configSchema } from '../../../gateway/contract.ts'
import { startDiscovery, toEndpoint } from '../../../gateway/upstream/discovery.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const DNS = { dns: { host: 'engines.models.svc', port: 8001, refreshMs: 1_000 } }

function start(engines: object, answers: (string[] | Error)[] = [[]]) {
  const { pools } = configSchema.parse({ pools: [{ name: 'main', models: [{ name: 'm' }], engines }] })
  const [pool] = pools
  if (pool === undefined) throw new Error('no pool')
  const told: (readonly Endpoint[])[] = []
  const errors: string[] = []
  const hosts: string[] = []
  let asked = 0
  const stop = startDiscovery(pool, 'engine-key', {
    onEndpoints: (_name, endpoints) => told.push(endpoints),
    onError: (name, cause) => errors.push(`${name}: ${cause.message}`),
    resolve: async (host) => {
      hosts.push(host)
      const answer = answers[Math.min(asked++, answers.length - 1)] ?? []
      if (answer instanceof Error) throw answer
      return answer
    }
  })
  const ids = () => told.map((endpoints) => endpoints.map(({ id }) => id))
  return { told, ids, errors, hosts, stop, pass: (ms: number) => vi.advanceTimersByTimeAsync(ms), asked: () => asked }
}

const failure = (code: string) => Object.assign(new Error(`it says ${code}`), { code })

describe('a list', () => {
  it('is told at once, with the key of the engines', () => {
    expect(start({ urls: ['http://10.0.0.7:8000', 'https://gpu.example'] }).told).toEqual([
      [
        { id: '10.0.0.7:8000', origin: 'http://10.0.0.7:8000', pool: 'main', engineKey: 'engine-key' },
        { id: 'gpu.example', origin: 'https://gpu.example', pool: 'main', engineKey: 'engine-key' }
      ]
    ])
  })

  it('names an engine once, however often it is listed', () => {
    expect(start({ urls: ['http://a:1', 'http://a:1/', 'http://A:1'] }).ids()).toEqual([['a:1']])
  })
})

describe('DNS', () => {
  it('gives an engine for each address, in a fixed order', async () => {
    const { ids, hosts, pass } = start(DNS, [['10.0.0.9', '10.0.0.7', '10.0.0.9']])
    await pass(0)
    expect([ids(), hosts]).toEqual([[['10.0.0.7:8001', '10.0.0.9:8001']], ['engines.models.svc']])
  })

  it('may give addresses of IPv6', async () => {
    const { told, pass } = start(DNS, [['fd00::7']])
    await pass(0)
    expect(told[0]).toMatchObject([{ id: '[fd00::7]:8001', origin: 'http://[fd00::7]:8001' }])
  })

  it('is asked again after the interval', async () => {
    const { ids, pass } = start(DNS, [['10.0.0.7'], ['10.0.0.8']])
    await pass(1_000)
    expect(ids()).toEqual([['10.0.0.7:8001'], ['10.0.0.8:8001']])
  })

  it.each(['ENOTFOUND', 'ENODATA'])('that says %s means that there is no engine', async (code) => {
    const { ids, errors, pass } = start(DNS, [['10.0.0.7'], failure(code)])
    await pass(1_000)
    expect([ids(), errors]).toEqual([[['10.0.0.7:8001'], []], []])
  })

  it.each(['EAI_AGAIN', 'ETIMEOUT', 'ESERVFAIL'])('that says %s leaves the engines as they are', async (code) => {
    const { ids, errors, pass } = start(DNS, [['10.0.0.7'], failure(code)])
    await pass(1_000)
    expect([ids(), errors]).toEqual([[['10.0.0.7:8001']], [`main: it says ${code}`]])
  })

  it('is asked again after a failure', async () => {
    const { ids, pass } = start(DNS, [failure('EAI_AGAIN'), ['10.0.0.7']])
    await pass(1_000)
    expect(ids()).toEqual([['10.0.0.7:8001']])
  })

  it('is asked no more after a stop', async () => {
    const { asked, stop, pass } = start(DNS)
    await pass(0)
    stop()
    await pass(5_000)
    expect(asked()).toBe(1)
  })

  it('that answers after a stop is not told', async () => {
    const { ids, stop, pass } = start(DNS, [['10.0.0.7']])
    stop()
    await pass(0)
    expect(ids()).toEqual([])
  })
})

it('an endpoint is known by host and port', () => {
  expect(toEndpoint('main', 'http://gpu.example:8000/', undefined)).toEqual({
    id: 'gpu.example:8000',
    origin: 'http://gpu.example:8000',
    pool: 'main',
    engineKey: undefined
  })
})
