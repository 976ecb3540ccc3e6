// Quantities read as the API server stores them, or every apply would find a change.
import { describe, expect, it } from 'vitest'
import { coresOf, countOf, gibibytesOf, mebibytesOf, resourcesOf } from '../../../infra/lib/quantity.ts'
import { EVERYTHING } from '../everything-on.ts'
import { manifestsOf } from '../stacks.ts'

describe('a quantity', () => {
  it.each([
    ['cores', coresOf(2), '2'],
    ['a part of a core', coresOf(0.1), '100m'],
    ['cores and a half', coresOf(2.5), '2500m'],
    ['a number that binary fractions miss', coresOf(1.1), '1100m'],
    ['GPUs', countOf(4), '4'],
    ['MiB', mebibytesOf(64), '64Mi'],
    ['MiB that are GiB', mebibytesOf(1024), '1Gi'],
    ['MiB between two GiB', mebibytesOf(1536), '1536Mi'],
    ['GiB', gibibytesOf(300), '300Gi'],
    ['GiB that are TiB', gibibytesOf(2048), '2Ti'],
    ['half a GiB', gibibytesOf(0.5), '512Mi']
  ])('of %s is written as the API server does', (_what, quantity, text) => {
    expect(quantity.value).toBe(text)
  })

  it('of CPU may be twice what is asked for, of memory and devices just that', () => {
    const { requests, limits } = resourcesOf(1.5, gibibytesOf(4), { 'nvidia.com/gpu': countOf(1) })
    const textOf = (list: typeof limits) => Object.entries(list ?? {}).map(([name, { value }]) => `${name} ${value}`)
    expect(textOf(requests)).toEqual(['cpu 1500m', 'memory 4Gi', 'nvidia.com/gpu 1'])
    expect(textOf(limits)).toEqual(['cpu 3', 'memory 4Gi', 'nvidia.com/gpu 1'])
  })

  it('is a string wherever a region has one', () => {
    const found: unknown[] = []
    const look = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      for (const [key, inner] of Object.entries(value)) {
        const isList = ['requests', 'limits', 'capacity'].includes(key) && typeof inner === 'object'
        if (isList) found.push(...Object.values(inner ?? {}))
        look(inner)
      }
    }
    look(manifestsOf(EVERYTHING))
    expect(found.length).toBeGreaterThan(40)
    expect(found.filter((quantity) => typeof quantity !== 'string')).toEqual([])
  })
})
