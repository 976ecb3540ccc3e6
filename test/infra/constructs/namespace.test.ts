// What a region's namespace enforces, with exceptions from Pod Security `restricted` and without.
import { describe, expect, it } from 'vitest'
import { synthesize } from '../../../infra/main.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { findViolations } from '../pod-security.ts'
import { find, inTemporaryDirectory, manifestsOf, podOf, region, stackOf } from '../stacks.ts'

type Exception = NonNullable<ReturnType<typeof region>['podSecurityExceptions']>[number]
const stackWith = (...needs: Exception['need'][]) =>
  stackOf({
    regions: [
      region({
        podSecurityExceptions: needs.map((need) => ({ model: 'llama', need, reason: 'The driver asks for it.' }))
      })
    ]
  })
const PREFIX = 'pod-security.kubernetes.io/'

describe('the namespace of a region', () => {
  it.each<[Exception['need'], enforced: string, violations: string[]]>([
    ['run-as-root', 'baseline', ['vllm may run as root', 'vllm runs as root']],
    ['host-ipc', 'privileged', ['hostIPC']],
    ['ipc-lock', 'privileged', ['vllm adds capabilities']],
    ['unconfined-seccomp', 'privileged', ['vllm has no seccomp profile']],
    ['privileged', 'privileged', ['vllm is privileged', 'vllm may gain privileges']]
  ])('with %s granted to a model enforces %s, for that and nothing more', async (need, enforced, violations) => {
    const manifests = manifestsOf(stackWith(need))
    const { labels } = find(manifests, 'Namespace', 'sluice').metadata
    expect(['enforce', 'warn', 'audit'].map((mode) => labels[PREFIX + mode])).toEqual([
      enforced,
      'restricted',
      'restricted'
    ])
    expect(findViolations(podOf(manifests, 'engine-llama'))).toEqual(violations)
    expect(findViolations(podOf(manifests, 'gateway'))).toEqual([])
    expect(await findSchemaProblems(find(manifests, 'Deployment', 'engine-llama'))).toEqual([])
  })

  it('enforces the weakest of several', () => {
    const enforced = (...needs: Exception['need'][]) =>
      find(manifestsOf(stackWith(...needs)), 'Namespace', 'sluice').metadata.labels[`${PREFIX}enforce`]
    expect([enforced(), enforced('run-as-root'), enforced('run-as-root', 'ipc-lock')]).toEqual([
      'restricted',
      'baseline',
      'privileged'
    ])
  })

  it('is told at every synth, with the reason', () => {
    const notices = inTemporaryDirectory((directory) => synthesize(stackWith('host-ipc'), directory).notices)
    expect(notices).toContain(
      'region eu-west: engines of llama are not restricted, host-ipc: The driver asks for it. So namespace sluice enforces privileged.'
    )
  })
})
