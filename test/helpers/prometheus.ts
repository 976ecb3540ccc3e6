// Runs Prometheus' own programs: promtool on emitted rules, and a real server that scrapes as the monitors say.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Manifest } from '../infra/stacks.ts'
import { freePort } from './free-port.ts'
import { until } from './gateway.ts'
import { findProgram } from './program.ts'

export const PROMETHEUS = findProgram('prometheus')
export const PROMTOOL = findProgram('promtool')

/** Runs `promtool` over files that are written for it, by name; returns what it printed. @throws what it refused */
export function runPromtool(args: readonly string[], files: Readonly<Record<string, object>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-promtool-'))
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), stringify(content))
    const { status, stdout, stderr } = spawnSync(PROMTOOL ?? 'promtool', args, { cwd: folder, encoding: 'utf8' })
    if (status !== 0) throw new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`)
    return stdout + stderr
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A pod that a PodMonitor finds: where it listens here, and what it is called. */
export interface Target {
  readonly monitor: Manifest
  readonly address: string
  readonly pod: string
}

/** What the operator makes of a PodMonitor and its pods: its own labels first, then the monitor's relabelings. */
export function toScrapeConfig(targets: readonly Target[], scrapeInterval: string): object[] {
  return targets.map(({ monitor, address, pod }) => {
    const { namespace, name } = monitor.metadata
    const [endpoint] = monitor.spec.podMetricsEndpoints
    const job = `${namespace}/${name}`
    return {
      job_name: `podMonitor/${job}/${pod}`,
      scrape_interval: scrapeInterval,
      scrape_timeout: scrapeInterval,
      metrics_path: endpoint.path,
      static_configs: [
        { targets: [new URL(address).host], labels: { namespace, pod, job, endpoint: endpoint.port, container: name } }
      ],
      relabel_configs: endpoint.relabelings
    }
  })
}

export interface Prometheus extends AsyncDisposable {
  /** The result of an instant query. @throws what Prometheus says of a bad one */
  query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>
  /** Each rule that was evaluated, as Prometheus tells of it. */
  rules(): Promise<Manifest[]>
}

/** Starts a server on a free port of the loopback, with rules that are evaluated every `interval`. */
export async function startPrometheus(scrapes: object[], rules: object, interval: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-prometheus-'))
  const address = `127.0.0.1:${await freePort()}`
  writeFileSync(join(folder, 'rules.yml'), stringify(rules))
  const config = { global: { evaluation_interval: interval }, rule_files: ['rules.yml'], scrape_configs: scrapes }
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config))
  const child: ChildProcess = spawn(
    PROMETHEUS ?? 'prometheus',
    ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=${address}`],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] }
  )
  let errors = ''
  child.stderr?.on('data', (bytes) => (errors += bytes))
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const ask = async (path: string) => {
    const answer = JSON.parse(await (await fetch(`http://${address}/api/v1/${path}`)).text())
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`)
    return answer.data
  }
  await until('Prometheus is ready', async () => {
    if (child.exitCode !== null) throw new Error(`Prometheus ended: ${errors}`)
    return fetch(`http://${address}/-/ready`).then(
      ({ ok }) => ok,
      () => false
    )
  })
  return {
    query: async (expr) => (await ask(`query?query=${encodeURIComponent(expr)}`)).result,
    rules: async () => (await ask('rules')).groups.flatMap((group: Manifest) => group.rules),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await exited
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
