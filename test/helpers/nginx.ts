// Runs a real nginx in front of a gateway, configured as a controller would configure it from an Ingress's annotations.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { findProgram } from './program.ts'
import { type ProxyProgram, startProxy } from './proxy-program.ts'

export const NGINX = findProgram('nginx')

type Directives = Readonly<Record<string, string>>

/** What ingress-nginx 1.15 writes into a location of its own accord (rootfs/etc/nginx/template/nginx.tmpl). */
const INGRESS_NGINX_DEFAULTS: Directives = {
  proxy_http_version: '1.1',
  proxy_buffering: 'off',
  proxy_request_buffering: 'on',
  proxy_read_timeout: '60s',
  proxy_send_timeout: '60s',
  client_max_body_size: '1m',
  proxy_buffer_size: '4k',
  proxy_buffers: '4 4k',
  proxy_next_upstream: 'error timeout'
}

/** What F5's controller writes into a location of its own accord (internal/configs/version1/nginx.ingress.tmpl). */
const F5_DEFAULTS: Directives = {
  proxy_http_version: '1.1',
  proxy_buffering: 'on',
  proxy_read_timeout: '60s',
  proxy_send_timeout: '60s',
  client_max_body_size: '1m'
}

/** The directives that ingress-nginx makes of `nginx.ingress.kubernetes.io/*` annotations: its timeouts are seconds. */
export function ingressNginxDirectives(annotations: Readonly<Record<string, string>>): Directives {
  const directives = { ...INGRESS_NGINX_DEFAULTS }
  const prefix = 'nginx.ingress.kubernetes.io/'
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(prefix)) continue
    const name = key.slice(prefix.length)
    if (name === 'proxy-body-size') directives.client_max_body_size = value
    else if (name === 'proxy-read-timeout' || name === 'proxy-send-timeout')
      directives[name.replaceAll('-', '_')] = `${value}s`
    else if (name.startsWith('proxy-')) directives[name.replaceAll('-', '_')] = value
  }
  return directives
}

/** The directives that F5's controller makes of `nginx.org/*` annotations: its timeouts have units, its switches are booleans. */
export function f5Directives(annotations: Readonly<Record<string, string>>): Directives {
  const directives = { ...F5_DEFAULTS }
  const names: Record<string, string> = {
    'client-max-body-size': 'client_max_body_size',
    'proxy-read-timeout': 'proxy_read_timeout',
    'proxy-send-timeout': 'proxy_send_timeout'
  }
  for (const [key, value] of Object.entries(annotations)) {
    const name = key.replace('nginx.org/', '')
    if (name === 'proxy-buffering') directives.proxy_buffering = value === 'False' ? 'off' : 'on'
    else if (names[name] !== undefined) directives[names[name]] = value
  }
  return directives
}

/** Where an nginx is, and what it is in front of. */
export interface NginxPlace {
  /** For its files. */
  readonly folder: string
  /** What it listens on, `127.0.0.1:8080`. */
  readonly listen: string
  /** The origin of a gateway. */
  readonly upstream: string
  /** Paths of what it shows to clients. @default it speaks plain HTTP */
  readonly tls?: { readonly certificate: string; readonly key: string }
}

/** Writes a configuration with `directives` in a location. @returns the arguments for nginx */
export function configureNginx({ folder, listen, upstream, tls }: NginxPlace, directives: Directives): string[] {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`
  )
  const location = Object.entries(directives).map(([name, value]) => `${name} ${value};`)
  const secure = tls === undefined ? '' : `ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key};`
  const config = `
    worker_processes 1; daemon off; pid ${folder}/pid; error_log stderr warn;
    events { worker_connections 256; }
    http {
      access_log off; ${temp.join(' ')} ${secure}
      upstream gateway { server ${new URL(upstream).host}; keepalive 16; }
      server { listen ${listen}${tls === undefined ? '' : ' ssl'};
        location /v1 { proxy_pass http://gateway; proxy_set_header Connection ""; ${location.join(' ')} } }
    }`
  const path = join(folder, 'nginx.conf')
  writeFileSync(path, config)
  return ['-c', path, '-p', folder]
}

/** Starts nginx with `directives` in a location over `upstream`, on a free port of the loopback. */
export async function startNginx(upstream: string, directives: Directives): Promise<ProxyProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-nginx-'))
  const port = await freePort()
  const args = configureNginx({ folder, listen: `127.0.0.1:${port}`, upstream }, directives)
  return startProxy({ name: 'nginx', path: NGINX ?? 'nginx', args, port, folder, signal: 'SIGTERM' })
}
