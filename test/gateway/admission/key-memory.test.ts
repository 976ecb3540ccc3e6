// Keys that are known again.
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createHalfSipHash } from '../../../gateway/admission/half-sip-hash.ts'
import { createKeyMemory } from '../../../gateway/admission/key-memory.ts'
import { GatewayError } from '../../../gateway/errors.ts'

/** The first of the published vectors: key 00 to 07, input 00, 00 01, and so on. */
const VECTORS = [
  '218d1f59b9b83cc8',
  'be552412f8387315',
  '064f39ef7c50eb57',
  'ce0f1a45f7060679',
  'd5e78a175be52ea1',
  'cb9d7c3f2f3db580',
  'ce3e91358aa2bc25',
  'ff202728b07bc684',
  'edfee820bce4858c',
  '5b51cccc13888307'
]

const counting = (count: number) => Buffer.from(Array.from({ length: count }, (_, i) => i))

describe('HalfSipHash-2-4-64', () => {
  it.each(VECTORS.map((vector, length) => [length, vector] as const))(
    'of %i bytes is as published',
    (length, vector) => {
      const tag = { low: 0, high: 0 }
      const bytes = Buffer.concat([Buffer.from('xyz'), counting(length), Buffer.from('more')])
      createHalfSipHash(counting(8))(bytes, 3, 3 + length, tag)
      const written = Buffer.alloc(8)
      written.writeInt32LE(tag.low, 0)
      written.writeInt32LE(tag.high, 4)
      expect(written.toString('hex')).toBe(vector)
    }
  )
})

/** A memory over a ring in which every `Bearer sk-N` is right, and how often the ring was asked. */
function createMemory(secret = randomBytes(32)) {
  const asked: string[] = []
  const { identify, forget } = createKeyMemory((authorization) => {
    asked.push(authorization)
    const keyId = /^Bearer +(sk-\d+)$/i.exec(authorization)?.[1]
    if (keyId === undefined) throw new GatewayError('invalid_api_key')
    return { keyId, maxOutputTokens: undefined, models: 'unrestricted' }
  }, secret)
  const ask = (value: string) => {
    const bytes = Buffer.from(`authorization: ${value}\r\n`, 'latin1')
    return identify(bytes, 15, bytes.length - 2).keyId
  }
  return { asked, ask, forget }
}

describe('a key', () => {
  it('that was right is not checked again, whoever else came between', () => {
    const { asked, ask } = createMemory()
    for (let round = 0; round < 3; round++) for (const key of ['sk-1', 'sk-2']) expect(ask(`Bearer ${key}`)).toBe(key)
    expect(asked).toEqual(['Bearer sk-1', 'Bearer sk-2'])
  })

  it('that was wrong is checked and refused each time', () => {
    const { asked, ask } = createMemory()
    expect(ask('Bearer sk-1')).toBe('sk-1')
    for (const wrong of ['Bearer sk-', 'Bearer sk-x', 'Basic sk-1', 'Bearer sk-1 ', ''])
      for (let round = 0; round < 2; round++) expect(() => ask(wrong)).toThrow(GatewayError)
    expect(asked).toHaveLength(11)
  })

  it('is known among very many', () => {
    // of so many keys two may share a place and then displace each other, as under one secret in twenty; not under this one
    const { asked, ask } = createMemory(counting(32))
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 20_000; i++) if (ask(`Bearer sk-${i}`) !== `sk-${i}`) expect.unreachable(`sk-${i}`)
    expect(asked).toHaveLength(20_000)
  })

  it('is checked anew when other keys are right than before', () => {
    const { asked, ask, forget } = createMemory()
    for (let round = 0; round < 2; round++) ask('Bearer sk-1')
    forget()
    for (let round = 0; round < 2; round++) ask('Bearer sk-1')
    expect(asked).toEqual(['Bearer sk-1', 'Bearer sk-1'])
  })

  it('that is spelt in an odd way is checked each time', () => {
    const { asked, ask } = createMemory()
    for (let round = 0; round < 2; round++)
      for (const odd of ['bearer sk-1', 'BEARER sk-1', 'Bearer  sk-1']) expect(ask(odd)).toBe('sk-1')
    expect(asked).toHaveLength(6)
  })
})
