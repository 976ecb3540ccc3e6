// Resumable streams in a region: the gateway's file names where its secrets are, and only the pod gets to see them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configSchema } from '../../../gateway/contract.ts'
import { synthesize } from '../../../infra/main.ts'
import type { StackInput } from '../../../infra/schema.ts'
import { find, type Manifest, manifestsOf, podOf, problemsOf, region, stackOf } from '../stacks.ts'

type Gateway = ReturnType<typeof region>['gateway']
type Streams = NonNullable<Gateway['streams']>

const SHARED: Streams = {
  replayGraceMs: 10_000,
  signingKeySecret: { name: 'streams', key: 'signing-key' },
  redis: { urlSecret: { name: 'streams', key: 'redis-url' }, at: { namespace: 'redis' }, keyPrefix: 'eu:' }
}
const stackWith = (streams: Streams, more: Partial<Gateway> = {}) =>
  stackOf({ regions: [region({ gateway: { ...region().gateway, ...more, streams } })] })

describe('resumable streams of a region', () => {
  const manifests = manifestsOf(stackWith(SHARED))
  const { streams } = configSchema.parse(JSON.parse(find(manifests, 'ConfigMap', 'gateway').data['config.json']))

  it('are configured as the stack says, with the defaults that the gateway has', () => {
    expect(streams).toMatchObject({ replayGraceMs: 10_000, retentionMs: 300_000, redis: { keyPrefix: 'eu:' } })
  })

  it('have their secrets mounted where the configuration names them', () => {
    const { containers, volumes } = podOf(manifests, 'gateway')
    const { mountPath } = containers[0].volumeMounts[0]
    const mounted = volumes[0].projected.sources
      .filter(({ secret }: Manifest) => secret?.name === 'streams')
      .map(({ secret: { items } }: Manifest) => [items[0].key, `${mountPath}/${items[0].path}`])
    expect(mounted).toEqual([
      ['signing-key', streams.signingKeyFile],
      ['redis-url', streams.redis.urlFile]
    ])
  })

  it('are said to be of one gateway each where somebody counts on them and names no Redis', () => {
    const noticesOf = (stack: StackInput) => {
      const directory = mkdtempSync(join(tmpdir(), 'sluice-streams-'))
      try {
        return synthesize(stack, directory).notices.filter((notice) => notice.includes('resumable streams'))
      } finally {
        rmSync(directory, { recursive: true })
      }
    }
    expect(noticesOf(stackWith({ maxViewers: 4 }))).toEqual([expect.stringContaining('gateway.streams.redis')])
    expect([...noticesOf(stackWith(SHARED)), ...noticesOf(stackOf())]).toEqual([])
  })

  it.each<[title: string, stack: unknown, problem: RegExp]>([
    [
      'a Redis without a key that all gateways sign with',
      stackWith({ redis: { urlSecret: { name: 'streams', key: 'redis-url' }, at: { namespace: 'redis' } } }),
      /^regions\[0\]\.gateway\.streams\.signingKeySecret: is missing; gateways that share/
    ],
    [
      'a URL in place of its Secret',
      stackWith({ ...SHARED, redis: { url: 'redis://:sesame@redis', at: { namespace: 'redis' } } } as never),
      /^regions\[0\]\.gateway\.streams\.redis/
    ],
    [
      'more memory of streams than the pod can spare',
      stackWith({ maxTotalBytes: 536_870_912 }, { memoryMiB: 512 }),
      /^regions\[0\]\.gateway\.streams\.maxTotalBytes: 536870912 bytes of streams take .* raise memoryMiB to 1024/
    ]
  ])('refuse %s', (_title, stack, problem) => {
    const problems = problemsOf(stack)
    expect(problems).toContainEqual(expect.stringMatching(problem))
    expect(problems.join()).not.toContain('sesame')
  })
})
