// The constructs as a library: an app in a folder of its own imports them by the package's name.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { find, inTemporaryDirectory, type Manifest, readObjects } from './stacks.ts'

const ROOT = join(import.meta.dirname, '../..')

/** What a team writes that has an app of its own, and wants engines and a gateway in it. */
const APP = `import { App, Chart } from 'cdk8s'
import { Gateway } from 'sluice/constructs/gateway'
import { INGRESS_PROFILES } from 'sluice/constructs/ingress-profiles/catalog'
import { ModelCache } from 'sluice/constructs/model-cache'
import { VllmDeployment, type VllmDeploymentProps } from 'sluice/constructs/vllm-deployment'
import { deriveTimeBudget, timeBudgetSchema } from 'sluice/contract'

const app = new App({ outdir: 'out' })
const chart = new Chart(app, 'llm', { namespace: 'team-a' })
const budget = deriveTimeBudget(timeBudgetSchema.parse({ streamMs: 300_000 }))
const props: VllmDeploymentProps = {
  name: 'llama',
  servedModelName: 'llama',
  image: 'registry.team-a.example.com/vllm:0.31.0',
  settings: { model: 'meta-llama/Llama-3.1-8B-Instruct' },
  gpus: 1,
  cache: ModelCache.fromClaimName('weights'),
  budget: budget.engine
}
const engines = new VllmDeployment(chart, 'Engines', props)
new Gateway(chart, 'Gateway', {
  name: 'gateway',
  image: 'registry.team-a.example.com/gateway:0.1.0',
  keysSecret: { name: 'keys', key: 'keys.json' },
  budget: budget.gateway,
  config: {
    pools: [
      {
        name: 'llama',
        models: [{ name: 'llama' }],
        engines: { dns: { host: \`\${engines.serviceName}.team-a.svc.cluster.local\`, port: engines.port } }
      }
    ]
  }
})
if (INGRESS_PROFILES.traefik.name !== 'traefik') throw new Error('no profile')
app.synth()
`

const TSCONFIG = {
  compilerOptions: {
    module: 'nodenext',
    target: 'esnext',
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    types: ['node']
  },
  include: ['app.ts']
}

/** A folder with the app, in which the package is linked as npm links a workspace or a folder. */
function inApp<T>(use: (directory: string) => T): T {
  return inTemporaryDirectory((directory) => {
    mkdirSync(join(directory, 'node_modules'))
    symlinkSync(ROOT, join(directory, 'node_modules/sluice'))
    for (const name of ['cdk8s', 'constructs', '@types']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name))
    }
    writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module' }))
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(TSCONFIG))
    writeFileSync(join(directory, 'app.ts'), APP)
    return use(directory)
  })
}

const synthesizeApp = (): Manifest[] =>
  inApp((directory) => {
    execFileSync(process.execPath, ['app.ts'], { cwd: directory, stdio: 'pipe' })
    return readObjects(join(directory, 'out/llm.k8s.yaml'))
  })

describe('an app outside of this repository', { timeout: 60_000 }, () => {
  it('runs without a build step, and gets the objects that it asks for', () => {
    const manifests = synthesizeApp()
    const engine = find(manifests, 'Deployment', 'llama')
    expect(engine.metadata.namespace).toBe('team-a')
    expect(engine.spec.template.spec.containers[0].resources.limits['nvidia.com/gpu']).toBe('1')
    expect(engine.spec.template.spec.containers[0].args).toContain('--shutdown-timeout=300')
    expect(engine.spec.template.spec.volumes[0].persistentVolumeClaim.claimName).toBe('weights')
    expect(find(manifests, 'ConfigMap', 'gateway').data['config.json']).toContain('llama.team-a.svc.cluster.local')
  })

  it('is checked by the types of the constructs', () => {
    inApp((directory) => {
      const check = () => spawnSync(join(ROOT, 'node_modules/.bin/tsc'), [], { cwd: directory, encoding: 'utf8' })
      expect(check().stdout).toBe('')
      const app = readFileSync(join(directory, 'app.ts'), 'utf8')
      writeFileSync(join(directory, 'app.ts'), app.replace('gpus: 1', "gpus: 'one'"))
      expect(check().stdout).toMatch(
        /app\.ts\(\d+,\d+\): error TS2322: Type 'string' is not assignable to type 'number'/
      )
    })
  })

  it('can import what package.json exports, and nothing else of the package', () => {
    inApp((directory) => {
      const load = (name: string) =>
        spawnSync(process.execPath, ['-e', `import(${JSON.stringify(name)})`], { cwd: directory, encoding: 'utf8' })
      for (const name of ['charts/regional-endpoint', 'constructs/namespace', 'lib/labels', 'schema', 'contract']) {
        expect(load(`sluice/${name}`).status, name).toBe(0)
      }
      expect(load('sluice/infra/main.ts').stderr).toMatch(/ERR_PACKAGE_PATH_NOT_EXPORTED/)
    })
  })
})
