// A warmed cache: what downloads, what waits for it, and engines that run offline from weights that they can't change.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { waitCommand } from '../../../infra/lib/model-download.ts'
import { synthesize } from '../../../infra/main.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { findViolations } from '../pod-security.ts'
import { find, inTemporaryDirectory, type Manifest, manifestsOf, podOf, problemsOf, stackWith } from '../stacks.ts'

const NAME = 'engine-llama'
const COMMIT = '0e9e39f249a16976918f6564b8830bc894c89659'
const token = { name: 'hub', key: 'token' }
const claim = { kind: 'new-claim', sizeGiB: 100, warmUp: true }
const warmed = (changes: Parameters<typeof stackWith>[0] = {}, cache: object = claim) =>
  stackWith({
    ...changes,
    model: { hfTokenSecret: token, ...changes.model },
    settings: { revision: COMMIT, ...changes.settings },
    placement: { cache, ...changes.placement }
  })
const jobsOf = (manifests: Manifest[]) => manifests.filter((one) => one.kind === 'Job')
const envOf = (container: Manifest) => container.env.map((one: Manifest) => one.name)
const WEIGHTS = '/home/vllm/.cache/huggingface'

describe('a shared cache that is warmed', () => {
  const manifests = manifestsOf(warmed())
  const [job] = jobsOf(manifests)
  const pod = podOf(manifests, NAME)
  const [engine] = pod.containers

  it('is filled by one Job, with the pinned commit, in the volume that the engines mount', async () => {
    expect(jobsOf(manifests)).toHaveLength(1)
    const { template, backoffLimit, activeDeadlineSeconds, ttlSecondsAfterFinished } = job.spec
    const [download] = template.spec.containers
    expect(JSON.parse(download.command.at(-1))).toEqual([
      { repository: 'meta-llama/Llama-3.1-8B-Instruct', revision: COMMIT }
    ])
    expect(download.image).toBe(engine.image)
    expect(template.spec.volumes).toEqual([pod.volumes[0]])
    expect(download.resources.limits).not.toHaveProperty('nvidia.com/gpu')
    expect(envOf(download)).toContain('HF_TOKEN')
    expect({ backoffLimit, activeDeadlineSeconds, ttlSecondsAfterFinished }).toEqual({
      backoffLimit: 6,
      activeDeadlineSeconds: 7200,
      ttlSecondsAfterFinished: 604_800
    })
    expect(findViolations(template.spec)).toEqual([])
    expect(await findSchemaProblems(job)).toEqual([])
  })

  it('has init containers that start in a pod whose user is root, and no other need of the engine', () => {
    const needs = ['run-as-root', 'ipc-lock'] as const
    const podSecurityExceptions = needs.map((need) => ({ model: 'llama', need, reason: 'The driver asks for it.' }))
    for (const cache of [claim, { kind: 'host-path', path: '/models', warmUp: true }]) {
      const { initContainers, securityContext } = podOf(
        manifestsOf(warmed({ region: { podSecurityExceptions } }, cache)),
        NAME
      )
      expect(securityContext.runAsUser).toBe(0)
      expect(initContainers[0].securityContext).toMatchObject({ runAsNonRoot: false, capabilities: { drop: ['ALL'] } })
      expect(initContainers[0].securityContext.capabilities).not.toHaveProperty('add')
    }
    const [{ spec }] = jobsOf(manifestsOf(warmed({ region: { podSecurityExceptions } })))
    expect(findViolations(spec.template.spec)).toEqual([])
  })

  it('is told of where the network lets nobody download', () => {
    const region = { network: { modelSource: 'none' } }
    const noticesOf = (stack: ReturnType<typeof warmed>) =>
      inTemporaryDirectory((directory) => synthesize(stack, directory).notices).filter((one) => /modelSource/.test(one))
    expect(noticesOf(warmed({ region }))).toEqual([
      'region eu-west: network.modelSource is none, so the cache of llama has to hold the pinned commit already.'
    ])
    expect(noticesOf(stackWith({ region, settings: { model: 's3://bucket/model' } }))).toEqual([
      'region eu-west: model llama is read from s3://bucket/model, and network.modelSource is none.'
    ])
    // Without a warm-up engines are offline as well, and whoever has the policies changes nothing about it.
    expect(noticesOf(stackWith({ region: { ...region, networkPolicy: 'none' } }))).toEqual([
      'region eu-west: network.modelSource is none and the cache of llama begins empty, so it never loads.'
    ])
    const claim = { cache: { kind: 'claim', claimName: 'weights' } }
    expect(noticesOf(stackWith({ region, placement: claim }))).toEqual([
      'region eu-west: network.modelSource is none, so the cache of llama has to hold the model already.'
    ])
    expect(noticesOf(warmed())).toEqual([])
  })

  it('takes no GPU of its node, reaches the hub as the engine would, and reports to nobody', () => {
    const env = { HF_ENDPOINT: 'https://hub.example.com', HTTPS_PROXY: 'http://proxy:3128' }
    const [{ spec }] = jobsOf(manifestsOf(warmed({ model: { env } })))
    const values = Object.fromEntries(
      spec.template.spec.containers[0].env.map((one: Manifest) => [one.name, one.value])
    )
    expect(values).toMatchObject({
      ...env,
      NVIDIA_VISIBLE_DEVICES: 'void',
      HF_HUB_DISABLE_TELEMETRY: '1',
      HF_HOME: WEIGHTS
    })
    expect(pod.initContainers[0].env).toEqual([{ name: 'NVIDIA_VISIBLE_DEVICES', value: 'void' }])
  })

  it('is waited for by each engine, whatever kubectl applied first', async () => {
    const [wait] = pod.initContainers
    expect(wait.command).toEqual(waitCommand([{ repository: 'meta-llama/Llama-3.1-8B-Instruct', revision: COMMIT }]))
    expect(wait.command.at(-1)).toBe(job.spec.template.spec.containers[0].command.at(-2))
    expect(wait.volumeMounts).toEqual([
      { name: 'model-cache', mountPath: WEIGHTS, subPath: 'huggingface', readOnly: true }
    ])
    expect(wait.image).toBe(engine.image)
    expect(findViolations(pod)).toEqual([])
    expect(await findSchemaProblems(find(manifests, 'Deployment', NAME))).toEqual([])
  })

  it('lets engines run offline, without the token, from weights that they can only read', () => {
    expect(engine.env).toContainEqual({ name: 'HF_HUB_OFFLINE', value: '1' })
    expect(envOf(engine)).not.toContain('HF_TOKEN')
    expect(engine.args[0]).toBe(`${WEIGHTS}/hub/models--meta-llama--Llama-3.1-8B-Instruct/snapshots/${COMMIT}`)
    expect(engine.args.join()).not.toContain('--revision')
    expect(engine.volumeMounts).toContainEqual({
      name: 'model-cache',
      mountPath: WEIGHTS,
      subPath: 'huggingface',
      readOnly: true
    })
  })

  it('keeps compiled graphs beside the weights, where engines may write', () => {
    const value = (name: string) => engine.env.find((one: Manifest) => one.name === name).value
    const writable = engine.volumeMounts.find((mount: Manifest) => mount.mountPath === '/home/vllm/.cache')
    expect(writable).toEqual({ name: 'model-cache', mountPath: '/home/vllm/.cache' })
    for (const name of ['VLLM_CACHE_ROOT', 'HF_MODULES_CACHE']) {
      expect(value(name)).toMatch(/^\/home\/vllm\/\.cache\/(?!huggingface)/)
    }
  })

  it('gives the rollout the time of the download', () => {
    const deadline = (stack: Parameters<typeof manifestsOf>[0]) =>
      find(manifestsOf(stack), 'Deployment', NAME).spec.progressDeadlineSeconds
    const slow = warmed({}, { ...claim, downloadSeconds: 9000 })
    expect(deadline(slow) - deadline(stackWith())).toBe(9000)
    expect(jobsOf(manifestsOf(slow))[0].spec.activeDeadlineSeconds).toBe(9000)
  })

  it('has another Job for another commit, image or adapter, and the same for the same', () => {
    const nameOf = (changes: Parameters<typeof stackWith>[0]) => jobsOf(manifestsOf(warmed(changes)))[0].metadata.name
    const adapters = [{ name: 'sql', source: 'org/sql', revision: 'a'.repeat(40) }]
    const names = [
      nameOf({}),
      nameOf({ settings: { revision: 'b'.repeat(40) } }),
      nameOf({ model: { image: 'vllm/vllm-openai:v0.30.0' } }),
      nameOf({ model: { adapters } })
    ]
    expect(new Set(names).size).toBe(4)
    expect(nameOf({ model: { loadSeconds: 60 } })).toBe(names[0])
    for (const name of names) expect(name).toMatch(/^engine-llama-warm-[0-9a-f]{8}$/)
    expect(job.metadata.labels).not.toMatchObject(find(manifests, 'Service', NAME).spec.selector)
  })

  it('runs the Job where the engines may run, as their account', () => {
    const where = { nodeSelector: { pool: 'h100' }, tolerations: [{ key: 'gpu', operator: 'Exists' }] }
    const all = manifestsOf(warmed({ placement: where }))
    const { spec } = jobsOf(all)[0].spec.template
    expect(spec).toMatchObject({ ...where, serviceAccountName: NAME, automountServiceAccountToken: false })
    expect(find(all, 'ServiceAccount', NAME).automountServiceAccountToken).toBe(false)
  })
})

describe('a cache of one node', () => {
  it.each([
    ['a host path', { kind: 'host-path', path: '/srv/models', warmUp: true }],
    ['a volume of one node', { ...claim, accessMode: 'ReadWriteOnce' }],
    ['a claim that is of one node', { kind: 'claim', claimName: 'weights', accessMode: 'ReadWriteOnce', warmUp: true }]
  ])('is filled by the pod that mounts it: %s', (_title, cache) => {
    const manifests = manifestsOf(warmed({ placement: { rollout: 'recreate' } }, cache))
    const pod = podOf(manifests, NAME)
    expect(jobsOf(manifests)).toEqual([])
    expect(pod.initContainers).toHaveLength(1)
    const [download] = pod.initContainers
    expect(download.name).toBe('download')
    expect(download.command.at(-1)).toContain(COMMIT)
    expect(envOf(download)).toContain('HF_TOKEN')
    expect(download.volumeMounts).toEqual([{ name: 'model-cache', mountPath: '/home/vllm/.cache' }])
    expect(pod.containers[0].volumeMounts).toContainEqual(
      expect.objectContaining({ mountPath: WEIGHTS, readOnly: true })
    )
    expect(findViolations(pod)).toEqual([])
  })
})

describe('a cache that is not warmed', () => {
  it('has no Job, nobody that waits, and an engine with the token that downloads itself', () => {
    const manifests = manifestsOf(warmed({}, { ...claim, warmUp: false }))
    const pod = podOf(manifests, NAME)
    expect(jobsOf(manifests)).toEqual([])
    expect(pod).not.toHaveProperty('initContainers')
    expect(envOf(pod.containers[0])).toContain('HF_TOKEN')
    expect(envOf(pod.containers[0])).not.toContain('HF_HUB_OFFLINE')
  })
})

describe('a warm-up', () => {
  it.each<[title: string, stack: unknown, problem: RegExp]>([
    ['of a branch', warmed({ settings: { revision: 'main' } }), /cache\.warmUp: it downloads once .* a branch moves/],
    [
      'of no revision',
      stackWith({ placement: { cache: claim } }),
      /cache\.warmUp: .*give settings\.revision the 40 hex/
    ],
    ['of a path', warmed({ settings: { model: '/models/llama' } }), /cache\.warmUp: \/models\/llama is no repository/],
    [
      'of an adapter without a commit',
      warmed({ model: { adapters: [{ name: 'sql', source: 'org/sql' }] } }),
      /cache\.warmUp: give adapter sql the revision/
    ]
  ])('is refused %s', (_title, stack, problem) => {
    expect(problemsOf(stack)).toEqual([expect.stringMatching(problem)])
  })
})

/** The group is gone already when the shell ended before it began to sleep. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

describe('the command that waits', () => {
  it('goes on when the marker is there, and ends on SIGTERM while it is not', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-marker-'))
    const [shell = '', ...rest] = waitCommand([])
    const marker = join(directory, 'complete')
    // A group of its own, so that nothing of it is left behind.
    const waiting = spawn(shell, [...rest.slice(0, -1), marker], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore']
    })
    try {
      await once(waiting.stdout, 'data')
      waiting.kill('SIGTERM')
      expect(await once(waiting, 'exit')).toEqual([143, null])
      writeFileSync(marker, '')
      expect(execFileSync(shell, [...rest.slice(0, -1), marker], { encoding: 'utf8' })).toBe('')
    } finally {
      endGroup(waiting.pid)
      rmSync(directory, { recursive: true })
    }
  })
})
