// The configuration: read from a file, overridden by the environment, checked as a whole, frozen.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError, loadSettings, parseConfig, parsePort } from '../../gateway/config.ts'

const SALT = Buffer.alloc(32, 1).toString('base64')
const KEY_FILE = { salt: SALT, keys: [{ id: 'a', hash: 'ab'.repeat(32) }] }
const POOL = { name: 'main', models: [{ name: 'm' }], engines: { urls: ['http://127.0.0.1:8000'] } }

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-config-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function write(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

/** The sentences of the error that `load` ends with. */
function refusalOf(load: () => unknown): string {
  try {
    load()
    return 'accepted'
  } catch (cause) {
    return cause instanceof ConfigError ? cause.message : `broken: ${cause}`
  }
}

const parse = (more: object = {}, environment = {}) => parseConfig({ pools: [POOL], ...more }, 'c.json', environment)
const load = (config: unknown, more: object = {}) =>
  loadSettings({ SLUICE_CONFIG: write('config.json', config), ...more })

describe('the files', () => {
  it('are read: configuration, keys and the keys of engines', () => {
    const keysFile = write('keys.json', KEY_FILE)
    const engineKeyFile = write('engine-key', 'sk-engine\n')
    const settings = load({ keysFile, pools: [{ ...POOL, engineKeyFile }] })
    expect([settings.config.pools[0]?.name, settings.keyFile, [...settings.engineKeys]]).toEqual([
      'main',
      KEY_FILE,
      [['main', 'sk-engine']]
    ])
  })

  it.each([
    [
      'the configuration',
      () => loadSettings({ SLUICE_CONFIG: '/no/such/config.json' }),
      '/no/such/config.json: ENOENT'
    ],
    ['the keys', () => load({ keysFile: '/no/such/keys.json', pools: [POOL] }), '/no/such/keys.json: ENOENT'],
    [
      'the key of an engine',
      () => load({ keysFile: write('keys.json', KEY_FILE), pools: [{ ...POOL, engineKeyFile: '/no/such/key' }] }),
      'engine key of pool main'
    ]
  ])('that are not there are named: %s', (_what, read, expected) => {
    expect(refusalOf(read)).toContain(expected)
  })

  it('that are not there are told of with what names them', () => {
    const withoutConfig = () => loadSettings({ SLUICE_CONFIG: '/no/such/config.json' })
    expect(refusalOf(withoutConfig)).toMatch(/SLUICE_CONFIG.*\n {2}\/no\/such\/config\.json: ENOENT/)
    const withoutKeys = () => load({ keysFile: '/no/such/keys.json', pools: [POOL] })
    expect(refusalOf(withoutKeys)).toMatch(/keysFile .* `npm run keys` writes\n/)
  })

  it.each(['{"keys": sk-secret}', 'sk-secret', '{"a": "sk-secret"', '{"salt":"sk-secret",}'])(
    'that are no JSON are not quoted: %s',
    (content) => {
      expect(refusalOf(() => load({ keysFile: write('bad.json', content), pools: [POOL] }))).not.toContain('secret')
    }
  )

  it.each(['{"a": x}', 'nope', '}{"a": 1}'])(
    'that are no JSON from the middle on (%s) are not said to lack an end',
    (content) => {
      expect(refusalOf(() => load(content))).not.toContain('at its end')
    }
  )

  it('of keys are checked', () => {
    const keysFile = write('keys.json', { ...KEY_FILE, keys: [{ id: 'a b', hash: 'x' }] })
    const refusal = refusalOf(() => load({ keysFile, pools: [POOL] }))
    expect(refusal).toMatch(/keys\[0\]\.id: .*\n.*keys\[0\]\.hash: /)
  })
})

describe('a configuration', () => {
  it('has defaults for everything but its pools', () => {
    expect(parse()).toMatchObject({
      region: 'local',
      listen: { host: '0.0.0.0', port: 8080 },
      maxBodyBytes: 10_485_760,
      maxAttempts: 3,
      pools: [{ maxActivePerEngine: 256, maxQueued: 512, queueMs: 30_000, models: [{ maxOutputTokens: 4096 }] }]
    })
  })

  it('looks for engines more than once a second, so that none is unknown for so long', () => {
    const { pools } = parse({ pools: [{ ...POOL, engines: { dns: { host: 'engines.models.svc' } } }] })
    const engines = pools[0]?.engines
    expect(engines !== undefined && 'dns' in engines && engines.dns.refreshMs).toBeLessThan(1000)
  })

  it('is frozen all the way down', () => {
    const { pools, budget } = parse()
    expect([budget, pools, pools[0], pools[0]?.models[0]].every(Object.isFrozen)).toBe(true)
  })

  it.each<[object, string]>([
    [{ pools: [] }, 'pools: '],
    [{ colour: 'red' }, 'colour'],
    [{ listen: { prot: 1 } }, 'listen: '],
    [{ pools: [{ ...POOL, maxQueue: 1 }] }, 'maxQueue'],
    [{ pools: [POOL, { ...POOL, models: [{ name: 'b' }] }] }, 'two pools have the same name'],
    [{ pools: [POOL, { ...POOL, name: 'other' }] }, 'a model stands in two pools'],
    [{ pools: [{ ...POOL, name: 'Main' }] }, 'pools[0].name: use a DNS label'],
    [{ pools: [{ ...POOL, engines: {} }] }, 'pools[0].engines: give either urls'],
    [{ pools: [{ ...POOL, engines: { urls: [] } }] }, 'pools[0].engines'],
    [{ pools: [{ ...POOL, engines: { urls: ['ftp://a'] } }] }, 'pools[0].engines'],
    [{ pools: [{ ...POOL, engines: { urls: ['http://a/v1'] } }] }, 'pools[0].engines'],
    [{ pools: [{ ...POOL, engines: { urls: ['http://me:pw@a'] } }] }, 'pools[0].engines'],
    [{ pools: [{ ...POOL, models: [{ name: 'a b' }] }] }, 'pools[0].models[0].name: use letters'],
    [{ budget: { heartbeatMs: 40_000 } }, 'budget.heartbeatMs: heartbeatMs (40000) must be at most half'],
    [{ logLevel: 'loud' }, 'logLevel: '],
    [{ maxAttempts: 0 }, 'maxAttempts: ']
  ])('%j is refused at its place', (more, expected) => {
    expect(refusalOf(() => parse(more))).toContain(expected)
  })

  it.each<[address: string, ...problems: RegExp[]]>([
    ['10.0.0.7:8000', /use an http:\/\/ or https:\/\/ address, as http:\/\/10\.0\.0\.7:8000$/],
    ['localhost:8000', /use an http:\/\/ or https:\/\/ address/],
    ['http://', /use an http:\/\/ or https:\/\/ address/],
    ['http://a:1/v1', /give scheme, host and port only/],
    ['http://me:pw@a?b', /give scheme, host and port only/, /no credentials in an address/]
  ])('with the engine %j says what is wrong with it, and nothing else', (url, ...problems) => {
    const lines = refusalOf(() => parse({ pools: [{ ...POOL, engines: { urls: [url] } }] }))
      .split('\n')
      .slice(1)
    expect(lines).toEqual(problems.map((problem) => expect.stringMatching(problem)))
    for (const line of lines) expect(line).toContain('pools[0].engines.urls[0]: ')
  })

  it('says of what is missing and of what is unknown how to go on', () => {
    expect(refusalOf(() => parseConfig({}, 'c.json'))).toMatch(/pools: is missing; give an array$/)
    expect(refusalOf(() => parse({ colour: 1 }))).toMatch(/there is no field colour here; is it misspelt\?$/)
    const both = refusalOf(() => parse({ colour: 1, size: 2 }))
    expect(both).toMatch(/there are no fields colour, size here; are they misspelt\?$/)
  })

  it('that has several mistakes names them all', () => {
    expect(refusalOf(() => parse({ maxAttempts: 0, region: '' })).split('\n')).toHaveLength(3)
  })

  it('that is refused does not show a password in an address', () => {
    const engines = { urls: ['http://me:secret@a'] }
    expect(refusalOf(() => parse({ pools: [{ ...POOL, engines }] }))).not.toContain('secret')
  })
})

describe('the environment', () => {
  it('overrides host, port and log level', () => {
    const environment = { SLUICE_HOST: '::1', PORT: '9000', LOG_LEVEL: 'debug' }
    expect(parse({}, environment)).toMatchObject({ listen: { host: '::1', port: 9000 }, logLevel: 'debug' })
  })

  it('overrides nothing with what is empty', () => {
    const environment = { SLUICE_HOST: '', PORT: '', LOG_LEVEL: '' }
    expect(parse({}, environment)).toEqual(parse())
  })

  it('is checked', () => {
    expect(refusalOf(() => parse({}, { LOG_LEVEL: 'loud' }))).toContain('logLevel')
  })

  it.each(['65536', '-1', '80a', '0x50', '1e3', ' 80', '8080.0', 'tcp://10.0.0.1:80'])(
    'is refused with the port %j',
    (port) => {
      expect(refusalOf(() => parsePort({ PORT: port }))).toContain('is no port')
    }
  )

  it.each([
    ['0', 0],
    ['65535', 65_535],
    ['', undefined],
    [undefined, undefined]
  ])('with the port %j means %s', (port, expected) => {
    expect(parsePort({ PORT: port })).toBe(expected)
  })
})

describe('the secrets of resumable streams', () => {
  const KEY = 'k'.repeat(32)
  const loadStreams = (streams: object = {}, environment: object = {}) =>
    load({ keysFile: write('keys.json', KEY_FILE), pools: [POOL], streams }, environment).streams

  it('are none where nobody names them', () => {
    expect(loadStreams()).toEqual({ signingKey: undefined, redisUrl: undefined })
  })

  it('come from files, or from the environment in their place', () => {
    const signingKeyFile = write('signing-key', `${KEY}\n`)
    const streams = { signingKeyFile, redis: { urlFile: write('redis-url', 'redis://:secret@redis:6379\n') } }
    expect(loadStreams(streams)).toEqual({ signingKey: Buffer.from(KEY), redisUrl: 'redis://:secret@redis:6379' })
    const SLUICE_REDIS_URL = 'rediss://other:6380'
    expect(loadStreams({ signingKeyFile }, { SLUICE_REDIS_URL })).toMatchObject({ redisUrl: SLUICE_REDIS_URL })
    expect(loadStreams({}, { SLUICE_SIGNING_KEY: KEY }).signingKey).toEqual(Buffer.from(KEY))
  })

  it.each<[title: string, environment: object, problem: string]>([
    ['a key that could be guessed', { SLUICE_SIGNING_KEY: 'short' }, 'streams.signingKey: has 5 characters; use 32'],
    [
      'a Redis whose gateways sign differently',
      { SLUICE_REDIS_URL: 'redis://r' },
      'streams.signingKeyFile: is missing'
    ],
    [
      'what is no URL of a Redis',
      { SLUICE_REDIS_URL: 'http://:secret@redis', SLUICE_SIGNING_KEY: KEY },
      'streams.redis: its URL is not usable; write redis://HOST:PORT'
    ]
  ])('refuse %s, and say nothing of the secret', (_title, environment, problem) => {
    const refusal = refusalOf(() => loadStreams({}, environment))
    expect(refusal).toContain(problem)
    expect(refusal).not.toMatch(/secret@|kkkk/)
  })

  it('refuse bounds that can’t hold at once', () => {
    expect(refusalOf(() => parse({ streams: { maxJournals: 5 } }))).toContain(
      'streams.maxJournalsPerKey: maxJournalsPerKey (100) must be at most maxJournals (5)'
    )
  })
})
