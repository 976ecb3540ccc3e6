// docs/stack.md names every field of a stack, or the page that does.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { gitopsSchema } from '../../infra/schema/gitops.ts'
import { modelShape } from '../../infra/schema/model.ts'
import { regionSchema } from '../../infra/schema/region.ts'

/** What a page writes as code, in its lines and in its blocks. */
function readCode(page: string): string {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8')
  return [...text.matchAll(/```[\s\S]*?```|`[^`\n]+`/g)].join('\n')
}

/** Pages that describe a part of the stack, by the path that it begins with; whatever is nowhere else is in stack.md. */
const PAGES: readonly (readonly [prefix: string, page: string])[] = [
  ['models.settings.', 'constructs.md'],
  ['models.accelerator.', 'engines.md'],
  ['regions.budget.', 'architecture.md'],
  ['regions.ingress.', 'ingress.md'],
  ['regions.monitoring.', 'scaling.md'],
  ['regions.network.', 'security.md'],
  ['regions.secrets.', 'security.md'],
  ['regions.podSecurityExceptions.', 'security.md'],
  ['regions.gateway.streams.', 'streams.md'],
  ['regions.gateway.websocket.', 'websocket.md'],
  ['', 'stack.md']
]

/** What Kubernetes, and not Sluice, describes. */
const KUBERNETES_OWN = /^regions\.placements\.tolerations\./

/** The paths of all fields below `schema`, list items and choices flattened. */
function collectPaths(schema: z.core.$ZodType, path: string): string[] {
  const { def } = schema._zod as unknown as { def: Record<string, unknown> }
  const shape = def.shape as Record<string, z.core.$ZodType> | undefined
  if (shape !== undefined) {
    return Object.entries(shape).flatMap(([key, field]) => [`${path}.${key}`, ...collectPaths(field, `${path}.${key}`)])
  }
  const inner = [def.element, def.valueType, def.innerType, def.in, ...((def.options as unknown[] | undefined) ?? [])]
  return inner.flatMap((one) => (one === undefined ? [] : collectPaths(one as z.core.$ZodType, path)))
}

/** The paths that no page names. */
function findMissing(paths: readonly string[]): string[] {
  return paths.filter((path) => {
    const page = PAGES.find(([prefix]) => path.startsWith(prefix))?.[1] ?? 'stack.md'
    const name = path.slice(path.lastIndexOf('.') + 1)
    return !new RegExp(`(?<![A-Za-z])${name}(?![A-Za-z])`).test(readCode(page))
  })
}

const paths = [
  ...collectPaths(modelShape, 'models'),
  ...collectPaths(regionSchema, 'regions'),
  ...collectPaths(gitopsSchema, 'gitops')
]

describe('docs/stack.md', () => {
  it('reads the schemas down to their leaves', () => {
    const leaves = [
      'models.adapters.source',
      'regions.placements.cache.claimName',
      'regions.gateway.streams.redis.lostMs'
    ]
    expect(paths).toEqual(expect.arrayContaining([...leaves, 'regions.ingress.tls.certificateArn']))
  })

  it('names each field, or leads to the page that does', () => {
    expect(findMissing(paths.filter((path) => !KUBERNETES_OWN.test(path)))).toEqual([])
    expect(findMissing(['regions.placements.cache.unknownField'])).toHaveLength(1)
  })
})
