// The table of derived numbers in docs/architecture.md says what the manifests of an untouched budget have.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { deriveTimeBudget, timeBudgetSchema } from '../../gateway/contract.ts'
import { find, type Manifest, manifestsOf, podOf, stackWith } from './stacks.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/architecture.md'), 'utf8')
/** The last cell of the row that begins so. */
const documented = (name: string) => {
  const row = page.split('\n').find((line) => line.startsWith(`| ${name}`))
  return Number(row?.split('|').at(-2))
}

describe('the table of the time budget', () => {
  const { gateway, engine, ingress } = deriveTimeBudget(timeBudgetSchema.parse({}))
  const cache = { kind: 'new-claim', sizeGiB: 9, warmUp: true }
  const manifests = manifestsOf(stackWith())
  const pod = podOf(manifests, 'engine-llama')
  const [container] = pod.containers

  it.each([
    ['gateway `terminationGracePeriodSeconds`', gateway.terminationGraceSeconds],
    ['engine `preStop`', engine.preStopSeconds],
    ['engine `--shutdown-timeout`', engine.shutdownTimeoutSeconds],
    ['engine `terminationGracePeriodSeconds`', pod.terminationGracePeriodSeconds],
    ["engine worker's `preStop`", engine.preStopSeconds + engine.shutdownTimeoutSeconds],
    ['engine startup probe', container.startupProbe.periodSeconds * container.startupProbe.failureThreshold],
    ['engine `progressDeadlineSeconds`', find(manifests, 'Deployment', 'engine-llama').spec.progressDeadlineSeconds],
    ['`VLLM_HTTP_TIMEOUT_KEEP_ALIVE`', engine.keepAliveSeconds],
    ['ingress read and send timeout', ingress.readTimeoutSeconds],
    ['ingress and load balancer drain', ingress.drainSeconds]
  ])('says of %s', (name, seconds) => {
    expect(documented(name)).toBe(seconds)
  })

  it('says of the warm-up', () => {
    const warmed = manifestsOf(stackWith({ settings: { revision: 'a'.repeat(40) }, placement: { cache } }))
    const job = warmed.find((one: Manifest) => one.kind === 'Job')
    expect(documented('warm-up Job `activeDeadlineSeconds`')).toBe(job.spec.activeDeadlineSeconds)
  })
})
