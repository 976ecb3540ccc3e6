// The Helm chart that `cdk8s synth --format helm` makes of the stack, and a real helm over it where there is one.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { renderHelmChart } from '../../../infra/lib/helm.ts'
import { listObjects, synthesize } from '../../../infra/main.ts'
import { stack } from '../../../infra/stack.ts'
import { findProgram, isMissing } from '../../helpers/program.ts'
import { inTemporaryDirectory, type Manifest, parseManifests, readObjects } from '../stacks.ts'

const ROOT = join(import.meta.dirname, '../../..')
const HELM = findProgram('.cache/bin/helm', 'helm')
const regions = [...listObjects(stack).keys()]

/** The folder of the chart, which cdk8s makes as `npm run synth:helm` does. */
let chart: string
beforeAll(() => {
  chart = join(mkdtempSync(join(tmpdir(), 'sluice-helm-')), 'chart')
  const args = ['synth', '--check-upgrade=false', '--format', 'helm', '--chart-version', '1.2.3', '--output', chart]
  const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env.PATH}` }
  execFileSync(join(ROOT, 'node_modules/.bin/cdk8s'), args, { cwd: ROOT, env, stdio: 'pipe' })
}, 60_000)
afterAll(() => rmSync(dirname(chart), { recursive: true, force: true }))

describe('renderHelmChart', () => {
  const file = (name: string, text = 'kind: A\n') => ({ file: name, text })
  const textOf = (files: ReturnType<typeof renderHelmChart>, name: string) =>
    files.find((one) => one.file === name)?.text ?? ''

  it('lets each template be of its region only, and escapes what Helm would take for its own', () => {
    const files = renderHelmChart([file('eu/a.yaml', 'text: "{{ $labels.pod }}"\n'), file('gitops/b.yaml')], ['eu'])
    expect(files.map((one) => one.file)).toEqual(['eu/a.yaml', '../values.yaml', '../values.schema.json'])
    expect(textOf(files, 'eu/a.yaml')).toBe(
      '{{- if eq .Values.region "eu" }}\ntext: "{{ "{{" }} $labels.pod }}"\n{{- end }}\n'
    )
  })

  it('chooses a region by itself only where there is one', () => {
    expect(textOf(renderHelmChart([], ['eu']), '../values.yaml')).toMatch(/^region: eu$/m)
    const two = renderHelmChart([], ['eu', 'us'])
    expect(textOf(two, '../values.yaml')).toMatch(/^region: ""$/m)
    expect(JSON.parse(textOf(two, '../values.schema.json')).properties.region.enum).toEqual(['eu', 'us'])
  })
})

describe('cdk8s synth --format helm', () => {
  it('makes a chart with its values, and nothing that is no template', () => {
    expect(parseManifests(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))).toMatchObject([
      { apiVersion: 'v2', version: '1.2.3', type: 'application' }
    ])
    for (const name of ['values.yaml', 'values.schema.json']) expect(existsSync(join(chart, name)), name).toBe(true)
    const templates = globSync('templates/**/*.yaml', { cwd: chart }).map((path) => relative('templates', path))
    expect([...new Set(templates.map(dirname))].sort()).toEqual([...regions].sort())
    expect(globSync('**/kustomization.yaml', { cwd: chart })).toEqual([])
  })
})

describe.skipIf(isMissing(HELM, 'tests with a real helm', 'go install helm.sh/helm/v3/cmd/helm@v3.18.6'))(
  'helm',
  { timeout: 60_000 },
  () => {
    const run = (...args: string[]) => spawnSync(HELM ?? 'helm', args, { encoding: 'utf8' })
    const sort = (objects: Manifest[]) =>
      objects.sort((a, b) => (`${a.kind} ${a.metadata.name}` < `${b.kind} ${b.metadata.name}` ? -1 : 1))

    it('renders each region as the synth writes it, object for object', () => {
      for (const region of regions) {
        const written = inTemporaryDirectory((directory) =>
          synthesize(stack, directory)
            .files.filter((file) => file.startsWith(`${region}/`) && !file.endsWith('kustomization.yaml'))
            .flatMap((file) => readObjects(join(directory, file)))
        )
        const { stdout, stderr } = run('template', 'sluice', chart, '--set', `region=${region}`)
        expect(stderr).toBe('')
        expect(sort(parseManifests(stdout).filter((one) => one !== null))).toEqual(sort(written))
      }
    })

    it('finds nothing to complain about', () => {
      expect(run('lint', '--strict', chart, '--set', `region=${regions[0]}`)).toMatchObject({ status: 0 })
    })

    it('refuses a region that is not there, and none at all', () => {
      expect(run('template', 'sluice', chart, '--set', 'region=mars').stderr).toMatch(/region.*one of.*eu-west/s)
      expect(run('template', 'sluice', chart).stderr).toMatch(/region.*one of.*eu-west/s)
    })
  }
)
