// From an Authorization header to a principal.
import { createHmac, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createKeys, hashKey, type Keys } from '../../../gateway/admission/keys.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { keyFileSchema } from '../../../gateway/key-schema.ts'

const SALT = Buffer.alloc(32, 1).toString('base64')
const keys = createKeys({
  salt: SALT,
  keys: [
    { id: 'plain', hash: hashKey(SALT, 'sk-plain') },
    { id: 'small', hash: hashKey(SALT, 'sk-small'), maxOutputTokens: 10, models: ['a', 'b'] }
  ]
})

function codeOf(authorization: string | undefined): string {
  try {
    return keys.authenticate(authorization).keyId
  } catch (cause) {
    return cause instanceof GatewayError ? cause.code : String(cause)
  }
}

describe('an Authorization header', () => {
  it.each([
    ['Bearer sk-plain', 'plain'],
    ['bearer sk-plain', 'plain'],
    ['BEARER   sk-plain', 'plain'],
    ['Bearer sk-small', 'small'],
    ['Bearer sk-plain2', 'invalid_api_key'],
    ['Bearer sk-plai', 'invalid_api_key'],
    ['Bearer SK-PLAIN', 'invalid_api_key'],
    [`Bearer ${hashKey(SALT, 'sk-plain')}`, 'invalid_api_key'],
    ['Basic c2stcGxhaW46', 'missing_api_key'],
    ['Bearer', 'missing_api_key'],
    ['Bearer ', 'missing_api_key'],
    ['Bearer sk-plain sk-small', 'missing_api_key'],
    ['sk-plain', 'missing_api_key'],
    ['', 'missing_api_key'],
    [undefined, 'missing_api_key']
  ])('%j means %s', (authorization, expected) => {
    expect(codeOf(authorization)).toBe(expected)
  })
})

describe('a principal', () => {
  it('has the limits of its key', () => {
    expect(keys.authenticate('Bearer sk-small')).toEqual({ keyId: 'small', maxOutputTokens: 10, models: ['a', 'b'] })
  })

  it('of a key without limits may use every unrestricted model', () => {
    const principal = { keyId: 'plain', maxOutputTokens: undefined, models: 'unrestricted' }
    expect(keys.authenticate('Bearer sk-plain')).toEqual(principal)
  })

  it('can not be changed', () => {
    expect(Object.isFrozen(keys.authenticate('Bearer sk-plain'))).toBe(true)
  })
})

describe('the stored form of a key', () => {
  it('is a SHA-256 in hex', () => {
    expect(hashKey(SALT, 'sk')).toMatch(/^[0-9a-f]{64}$/)
  })

  it.each([16, 32, 63, 64, 65, 96])('is what HMAC-SHA-256 makes of it under a salt of %i bytes', (bytes) => {
    const salt = randomBytes(bytes)
    const keys = [
      '',
      'sk',
      'é'.repeat(128),
      'x'.repeat(256),
      'x'.repeat(257),
      '猫'.repeat(300),
      'sk',
      'y'.repeat(16_000)
    ]
    expect(keys.map((key) => hashKey(salt.toString('base64'), key))).toEqual(
      keys.map((key) => createHmac('sha256', salt).update(key).digest('hex'))
    )
  })

  it('differs from salt to salt', () => {
    expect(hashKey(SALT, 'sk')).not.toBe(hashKey(randomBytes(32).toString('base64'), 'sk'))
  })
})

describe('a key ring', () => {
  it('keeps nothing of one key when it looks at the next', () => {
    const long = `sk-${'x'.repeat(250)}`
    const ring = createKeys({ salt: SALT, keys: [{ id: 'short', hash: hashKey(SALT, 'sk-s') }] })
    for (const key of [long, 'é'.repeat(400), long]) {
      expect(() => ring.authenticate(`Bearer ${key}`)).toThrow(GatewayError)
      expect(ring.authenticate('Bearer sk-s').keyId).toBe('short')
    }
  })
})

describe('a key ring that takes another file', () => {
  const entry = (id: string, more = {}) => ({ id, hash: hashKey(SALT, `sk-${id}`), ...more })
  const who = (ring: Keys, id: string) => {
    try {
      return ring.authenticate(`Bearer sk-${id}`)
    } catch {
      return undefined
    }
  }

  it('knows its keys and no others', async () => {
    const ring = createKeys({ salt: SALT, keys: [entry('old'), entry('both')] })
    expect(await ring.replace({ salt: SALT, keys: [entry('both'), entry('new')] })).toBe(true)
    expect(['old', 'both', 'new'].map((id) => who(ring, id)?.keyId)).toEqual([undefined, 'both', 'new'])
  })

  it('knows them under the salt of that file', async () => {
    const salt = Buffer.alloc(32, 2).toString('base64')
    const ring = createKeys({ salt: SALT, keys: [entry('a')] })
    expect(await ring.replace({ salt, keys: [{ id: 'a', hash: hashKey(salt, 'sk-a') }] })).toBe(true)
    expect(who(ring, 'a')?.keyId).toBe('a')
  })

  it.each([
    ['the same key with the same rights', entry('a', { maxOutputTokens: 5, models: ['m', 'n'] }), true],
    [
      'the same models in another order, one of them twice',
      entry('a', { maxOutputTokens: 5, models: ['n', 'm', 'n'] }),
      true
    ],
    ['fewer models', entry('a', { maxOutputTokens: 5, models: ['m'] }), false],
    ['more models', entry('a', { maxOutputTokens: 5, models: ['m', 'n', 'o'] }), false],
    ['every model', entry('a', { maxOutputTokens: 5 }), false],
    ['no limit', entry('a', { models: ['m', 'n'] }), false],
    ['other models', entry('a', { maxOutputTokens: 5, models: ['m', 'o'] }), false],
    ['another limit', entry('a', { maxOutputTokens: 6, models: ['m', 'n'] }), false],
    ['another key of that name', { ...entry('b'), id: 'a', maxOutputTokens: 5, models: ['m', 'n'] }, false],
    ['another name of that key', { ...entry('a', { maxOutputTokens: 5, models: ['m', 'n'] }), id: 'b' }, false]
  ])('tells of a principal whether it holds what it held, for %s', async (_what, next, holds) => {
    const ring = createKeys({ salt: SALT, keys: [entry('a', { maxOutputTokens: 5, models: ['m', 'n'] })] })
    const before = ring.authenticate('Bearer sk-a')
    expect(ring.holds(before)).toBe(true)
    expect(await ring.replace({ salt: SALT, keys: [next] })).toBe(!holds)
    expect(ring.holds(before)).toBe(holds)
  })

  it('is unchanged by the same keys in another order, and changed by fewer', async () => {
    const ring = createKeys({ salt: SALT, keys: [entry('a'), entry('b')] })
    expect(await ring.replace({ salt: SALT, keys: [entry('b'), entry('a')] })).toBe(false)
    expect(await ring.replace({ salt: SALT, keys: [entry('b')] })).toBe(true)
  })

  it('takes them at one moment: until then those before are right, and no others', async () => {
    const ring = createKeys({ salt: SALT, keys: [entry('old')] })
    const others = Array.from({ length: 5_000 }, (_, i) => ({ ...entry('x'), id: `x-${i}` }))
    const replaced = ring.replace({ salt: SALT, keys: [entry('new'), ...others] })
    await new Promise((resolve) => setImmediate(resolve))
    expect([who(ring, 'old')?.keyId, who(ring, 'new')]).toEqual(['old', undefined])
    expect(await replaced).toBe(true)
    expect([who(ring, 'old'), who(ring, 'new')?.keyId]).toEqual([undefined, 'new'])
  })
})

describe('two keys whose hashes begin alike', () => {
  it('are told apart', () => {
    const real = hashKey(SALT, 'sk-plain')
    const alike = real.slice(0, 8) + '0'.repeat(56)
    const ring = createKeys({
      salt: SALT,
      keys: [
        { id: 'alike', hash: alike },
        { id: 'plain', hash: real }
      ]
    })
    expect(ring.authenticate('Bearer sk-plain').keyId).toBe('plain')
  })
})

describe('a key file', () => {
  const valid = { salt: SALT, keys: [{ id: 'a', hash: hashKey(SALT, 'sk') }] }

  it.each([
    ['a short salt', { ...valid, salt: 'AAAA' }],
    ['a salt that is no base64', { ...valid, salt: '!'.repeat(32) }],
    ['a key instead of its hash', { ...valid, keys: [{ id: 'a', hash: 'sk-plain' }] }],
    ['a hash in capitals', { ...valid, keys: [{ id: 'a', hash: hashKey(SALT, 'sk').toUpperCase() }] }],
    ['a name with a space', { ...valid, keys: [{ ...valid.keys[0], id: 'a b' }] }],
    ['a limit of no tokens', { ...valid, keys: [{ ...valid.keys[0], maxOutputTokens: 0 }] }],
    ['a field that nobody knows', { ...valid, keys: [{ ...valid.keys[0], admin: true }] }],
    ['two keys of one name', { ...valid, keys: [valid.keys[0], { id: 'a', hash: hashKey(SALT, 'other') }] }]
  ])('is refused with %s', (_what, file) => {
    expect(keyFileSchema.safeParse(file).success).toBe(false)
  })
})
