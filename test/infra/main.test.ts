// The synth as a whole: determinism, cleaning up, notices, and what the command prints.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listObjects, StackError, synthesize } from '../../infra/main.ts'
import { stack } from '../../infra/stack.ts'
import { inTemporaryDirectory, model, placement, region, stackOf } from './stacks.ts'

const main = join(import.meta.dirname, '../../infra/main.ts')

describe('synthesize', () => {
  it('writes the same bytes for the same stack', () => {
    inTemporaryDirectory((directory) => {
      const read = () =>
        synthesize(stack, directory).files.map((file) => [file, readFileSync(join(directory, file), 'utf8')])
      expect(read()).toEqual(read())
    })
  })

  it('says which folders are applied, those of environments below them', () => {
    const environments = {
      production: {},
      staging: { regions: [{ name: 'eu-west', namespace: 'staging', ingress: { host: 'llm.staging.example.com' } }] }
    }
    inTemporaryDirectory((directory) => {
      expect(synthesize(stackOf(), directory).folders).toEqual(['eu-west'])
      const { files, folders } = synthesize(stackOf({ environments }), directory)
      expect(folders).toEqual(['production/eu-west', 'staging/eu-west'])
      for (const folder of folders) expect(files).toContain(`${folder}/kustomization.yaml`)
    })
  })

  it('makes 10 regions of 20 models in seconds', { timeout: 60_000 }, () => {
    const names = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => `${prefix}${index}`)
    const models = names(20, 'm').map((name) => model({ name, servedName: name }))
    const placements = models.map(({ name }) => placement({ model: name, replicas: 2 }))
    const regions = names(10, 'r').map((name) => region({ name, namespace: name, placements }))
    inTemporaryDirectory((directory) => {
      const startedMs = performance.now()
      const { files } = synthesize(stackOf({ models, regions }), directory)
      expect(files.filter((file) => file.includes('engine-'))).toHaveLength(200)
      // An idle machine takes about a second.
      expect(performance.now() - startedMs).toBeLessThan(30_000)
    })
  })

  it('removes what an earlier synth made and this one does not, and nothing else', () => {
    inTemporaryDirectory((directory) => {
      const two = [model(), model({ name: 'other', servedName: 'other' })]
      const both = region({ placements: [placement(), placement({ model: 'other' })] })
      synthesize(stackOf({ models: two, regions: [both, region({ name: 'us', namespace: 'us' })] }), directory)
      mkdirSync(join(directory, 'mine'))
      const own = ['eu-west/own.yaml', 'mine/own.yaml', 'README.md'].map((file) => join(directory, file))
      for (const file of own) writeFileSync(file, 'kind: Mine\n')
      synthesize(stackOf({ models: two }), directory)
      expect(existsSync(join(directory, 'eu-west/engine-other.yaml'))).toBe(false)
      expect(existsSync(join(directory, 'us'))).toBe(false)
      for (const file of own) expect(existsSync(file), file).toBe(true)
    })
  })

  it('leaves the files of the last good stack when the next one is refused', () => {
    inTemporaryDirectory((directory) => {
      const [file = ''] = synthesize(stackOf(), directory).files
      expect(() => synthesize(stackOf({ models: [] }), directory)).toThrow(StackError)
      expect(existsSync(join(directory, file))).toBe(true)
    })
  })

  it('says once what has to be set outside, however many regions share it', () => {
    const ingress = { ...region().ingress, controller: 'ingress-nginx' } as const
    const regions = [region({ ingress }), region({ ingress, name: 'us', namespace: 'us' })]
    inTemporaryDirectory((directory) => {
      const { notices } = synthesize(stackOf({ regions }), directory)
      expect(notices.filter((notice) => notice.includes('retired'))).toHaveLength(1)
    })
  })

  it('says which storage has to be shared, and which model is placed nowhere', () => {
    const noticesOf = (cache: Parameters<typeof placement>[0], models = [model()]) =>
      inTemporaryDirectory((directory) => {
        const regions = [region({ placements: [placement(cache)] })]
        return synthesize(stackOf({ models, regions }), directory).notices.join('\n')
      })
    expect(noticesOf({ cache: { kind: 'new-claim', sizeGiB: 9, storageClassName: 'files' } })).toMatch(
      /storage class files must offer ReadWriteMany/
    )
    expect(noticesOf({ cache: { kind: 'new-claim', sizeGiB: 9 } })).toMatch(/the cluster's default storage class must/)
    expect(noticesOf({})).not.toMatch(/ReadWriteMany|placed in no region/)
    expect(noticesOf({}, [model(), model({ name: 'spare', servedName: 'spare' })])).toMatch(
      /model spare is placed in no/
    )
  })

  it('says where gateways may send an engine more than it takes, and nothing where it takes all of that', () => {
    const noticesOf = (settings: object, gateway: object) =>
      inTemporaryDirectory((directory) => {
        const models = [model({ settings: { ...model().settings, maxNumSeqs: 100, ...settings } })]
        const regions = [region({ gateway: { ...region().gateway, ...gateway } })]
        return synthesize(stackOf({ models, regions }), directory).notices.join('\n')
      })
    const scaled = { autoscaling: { minReplicas: 2, maxReplicas: 12 } }
    expect(noticesOf({ maxNumQueuedReqs: 299 }, { replicas: 3 })).toMatch(
      /^region eu-west: 3 gateways may send an engine of llama 300 requests at once, .* let maxNumQueuedReqs be 300 or more/m
    )
    expect(noticesOf({ maxNumQueuedReqs: 1199 }, scaled)).toMatch(/12 gateways .* llama 1200 requests/)
    for (const [settings, gateway] of [
      [{ maxNumQueuedReqs: 300 }, { replicas: 3 }],
      [{ maxNumQueuedReqs: 1200 }, scaled],
      [{}, scaled]
    ] as const)
      expect(noticesOf(settings, gateway)).not.toMatch(/maxNumQueuedReqs/)
  })

  it('says what a rollout by surge takes, and nothing where there is none', () => {
    const noticesOf = (placed: Parameters<typeof placement>[0], changes = {}) =>
      inTemporaryDirectory((directory) => {
        const regions = [
          region({
            placements: [placement(placed)],
            cluster: { apis: ['keda'] },
            monitoring: { prometheusUrl: 'http://prometheus:9090' }
          })
        ]
        return synthesize(stackOf({ models: [model(changes)], regions }), directory).notices.join('\n')
      })
    const four = { gpus: 4, settings: { ...model().settings, tensorParallelSize: 4 } }
    expect(noticesOf({}, four)).toMatch(
      /^region eu-west: a new version of llama .* 4 of nvidia\.com\/gpu have to be free/m
    )
    expect(noticesOf({ replicas: 3, rollout: 'surge' })).toMatch(/1 of nvidia\.com\/gpu have to be free/)
    expect(noticesOf({ autoscaling: { maxReplicas: 3 } })).toMatch(/have to be free/)
    for (const other of [
      { replicas: 2 },
      { rollout: 'recreate' },
      { autoscaling: { minReplicas: 2, maxReplicas: 3 } }
    ] as const) {
      expect(noticesOf(other)).not.toMatch(/have to be free/)
    }
    const { image: _image, gpus: _gpus, ...base } = model()
    const onCpu = { ...base, vllmVersion: '0.31.0', accelerator: { kind: 'cpu' as const } }
    inTemporaryDirectory((directory) =>
      expect(synthesize(stackOf({ models: [onCpu] }), directory).notices.join('\n')).not.toMatch(/have to be free/)
    )
  })

  it('says which controller engines on several nodes need, where one that is older would make no pod', () => {
    const noticesOf = (placed: Parameters<typeof placement>[0]) =>
      inTemporaryDirectory((directory) => {
        const big = { gpus: 16, nodes: 2, settings: { ...model().settings, tensorParallelSize: 16 } }
        const regions = [region({ placements: [placement(placed)], cluster: { apis: ['leader-worker-set'] } })]
        return synthesize(stackOf({ models: [model(big)], regions }), directory).notices.join('\n')
      })
    expect(noticesOf({})).toMatch(/engines of llama need LeaderWorkerSet 0\.9/)
    expect(noticesOf({ replicas: 2 })).not.toMatch(/LeaderWorkerSet/)
  })
})

describe('node infra/main.ts', () => {
  it('writes to the directory that cdk8s names and lists the files', () => {
    inTemporaryDirectory((directory) => {
      const listed = execFileSync(process.execPath, [main], {
        env: { ...process.env, CDK8S_OUTDIR: directory },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore']
      })
      const files = listed.trim().split('\n')
      const [folder] = listObjects(stack).keys()
      expect(files).toContain(`${directory}/${folder}/gateway.yaml`)
      for (const file of files) expect(existsSync(file), file).toBe(true)
    })
  })

  it('prints a line a problem, no stack trace, and fails when the stack is bad', () => {
    const bad = stackOf({ models: [model({ gpus: 3 })], regions: [region({ namespace: 'Not_A_Name' })] })
    const script = `import { run } from ${JSON.stringify(main)}; run(${JSON.stringify(bad)}, 'nowhere')`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^models\[0\]\.gpus: 3 GPU/),
      expect.stringMatching(/^regions\[0\]\.namespace: use a DNS label/)
    ])
    expect(existsSync('nowhere')).toBe(false)
  })

  it('with --check says nothing of a good stack, and writes nothing', () => {
    inTemporaryDirectory((directory) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [main, '--check'], {
        env: { ...process.env, CDK8S_OUTDIR: directory },
        encoding: 'utf8'
      })
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
      expect(readdirSync(directory)).toEqual([])
    })
  })
})
