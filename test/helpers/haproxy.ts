// Runs a real HAProxy in front of a gateway, configured as a controller would configure it from an Ingress's annotations.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { findProgram } from './program.ts'
import { type ProxyProgram, startProxy } from './proxy-program.ts'

export const HAPROXY = findProgram('haproxy')

/** What a controller writes into a host's frontend and backend. */
export interface HaproxyLines {
  readonly frontend: readonly string[]
  readonly backend: readonly string[]
}

type Annotations = Readonly<Record<string, string>>

const reader = (annotations: Annotations, prefix: string) => (key: string) => annotations[prefix + key]

const linesOf = (snippet: string | undefined) => snippet?.split('\n') ?? []

const denyOthers = (networks: string | undefined) =>
  networks === undefined ? [] : [`http-request deny unless { src ${networks.replaceAll(',', ' ')} }`]

/** The lines that HAProxy Technologies' controller makes of `haproxy.org/*` annotations. */
export function haproxytechLines(annotations: Annotations): HaproxyLines {
  const get = reader(annotations, 'haproxy.org/')
  const header = get('response-set-header')
  return {
    frontend: [
      ...denyOthers(get('allow-list')),
      ...(header === undefined ? [] : [`http-response set-header ${header}`])
    ],
    backend: [`timeout server ${get('timeout-server')}`, ...linesOf(get('backend-config-snippet'))]
  }
}

/** The lines that HAProxy Ingress makes of `haproxy-ingress.github.io/*` annotations. */
export function haproxyIngressLines(annotations: Annotations): HaproxyLines {
  const get = reader(annotations, 'haproxy-ingress.github.io/')
  const subdomains = get('hsts-include-subdomains') === 'true' ? '; includeSubDomains' : ''
  return {
    frontend: [
      ...denyOthers(get('allowlist-source-range')),
      `http-request deny deny_status 413 if { req.body_size gt ${get('proxy-body-size')} }`,
      ...(get('hsts') === 'true'
        ? [`http-response set-header Strict-Transport-Security "max-age=${get('hsts-max-age')}${subdomains}"`]
        : [])
    ],
    backend: [
      `timeout server ${get('timeout-server')}`,
      `timeout tunnel ${get('timeout-tunnel')}`,
      ...linesOf(get('config-backend'))
    ]
  }
}

/** Starts HAProxy over `upstream` on a free port of the loopback; both of its idle timers are `idle` where no line says otherwise. */
export async function startHaproxy(upstream: string, lines: HaproxyLines, idle = '50s'): Promise<ProxyProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-haproxy-'))
  const port = await freePort()
  const config = [
    'defaults',
    ' mode http',
    ' timeout connect 5s',
    ' timeout http-request 5s',
    ` timeout client ${idle}`,
    ` timeout server ${idle}`,
    'frontend http',
    ` bind 127.0.0.1:${port}`,
    ...lines.frontend.map((line) => ` ${line}`),
    ' default_backend gateway',
    'backend gateway',
    ...lines.backend.map((line) => ` ${line}`),
    ` server gateway ${new URL(upstream).host}`
  ]
  writeFileSync(join(folder, 'haproxy.cfg'), `${config.join('\n')}\n`)
  return startProxy({
    name: 'HAProxy',
    path: HAPROXY ?? 'haproxy',
    args: ['-db', '-f', join(folder, 'haproxy.cfg')],
    port,
    folder,
    signal: 'SIGKILL'
  })
}
