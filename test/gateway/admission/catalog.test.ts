// Which models a key sees and may use.
import { describe, expect, it } from 'vitest'
import { createCatalog } from '../../../gateway/admission/catalog.ts'
import type { Principal } from '../../../gateway/call.ts'
import { configSchema } from '../../../gateway/contract.ts'

const engines = { urls: ['http://127.0.0.1:1'] }
const { pools } = configSchema.parse({
  pools: [
    { name: 'one', models: [{ name: 'a' }, { name: 'secret', restricted: true }], engines },
    { name: 'two', models: [{ name: 'org/b' }], engines }
  ]
})
const catalog = createCatalog(pools)
const principal = (models: Principal['models']): Principal => ({ keyId: 'k', maxOutputTokens: undefined, models })
const namesFor = (models: Principal['models']) => catalog.list(principal(models)).map(({ model }) => model.name)

describe('the list of models', () => {
  it('has every unrestricted model in the order of the configuration', () => {
    expect(namesFor('unrestricted')).toEqual(['a', 'org/b'])
  })

  it('has the models that a key names, restricted ones among them', () => {
    expect(namesFor(['org/b', 'secret'])).toEqual(['secret', 'org/b'])
  })

  it('has nothing for a key that names only models that are not there', () => {
    expect(namesFor(['gone'])).toEqual([])
  })
})

describe('a model', () => {
  it.each([
    ['a', 'unrestricted', 'one'],
    ['org/b', 'unrestricted', 'two'],
    ['secret', ['secret'], 'one']
  ] as const)('%s for a key that may use %j is in the pool %s', (name, models, pool) => {
    expect(catalog.get(principal(models), name).pool).toBe(pool)
  })

  it.each([
    ['secret', 'unrestricted'],
    ['a', ['secret']],
    ['A', 'unrestricted'],
    ['none', 'unrestricted'],
    ['constructor', 'unrestricted']
  ] as const)('%s is not there for a key that may use %j', (name, models) => {
    expect(() => catalog.get(principal(models), name)).toThrow('does not exist or your key may not use it')
  })

  it('has its pool', () => {
    expect(catalog.poolOf('org/b')).toBe('two')
  })

  it('that no pool has is a mistake of the caller', () => {
    expect(() => catalog.poolOf('none')).toThrow('no pool has the model none')
  })
})
