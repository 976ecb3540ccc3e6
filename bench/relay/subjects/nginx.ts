// nginx as a streaming reverse proxy: one worker, no buffering, connections to the engine kept.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileLimit } from '../machine.ts'
import { CORES, freePort, runFolder, start, untilServing } from '../processes.ts'
import { HOST, START_MS, type Subject } from './subject.ts'

const find = (): string | undefined =>
  [...(process.env.PATH ?? '').split(':').map((folder) => join(folder, 'nginx')), '/usr/sbin/nginx'].find(existsSync)

const version = (): string => {
  const path = find()
  return path === undefined ? 'not found' : (/[\d.]+/.exec(spawnSync(path, ['-v']).stderr.toString())?.[0] ?? '')
}

/** nginx closes kept connections when a sixteenth of these is left; more than it may open files keeps it from that. */
const CONNECTIONS = Math.ceil(fileLimit() * 1.25)

/** Buffers hold a whole request, so that its worker needs no temporary file. */
const configure = (port: number, enginePort: number) => `
daemon off;
worker_processes 1;
worker_rlimit_nofile ${fileLimit()};
pid ${runFolder}/nginx.pid;
error_log stderr error;
events { worker_connections ${CONNECTIONS}; }
http {
  access_log off;
  client_body_temp_path ${runFolder}/nginx-body;
  proxy_temp_path ${runFolder}/nginx-proxy;
  fastcgi_temp_path ${runFolder}/nginx-fastcgi;
  uwsgi_temp_path ${runFolder}/nginx-uwsgi;
  scgi_temp_path ${runFolder}/nginx-scgi;
  client_body_buffer_size 128k;
  keepalive_requests 100000000;
  upstream engine {
    server ${HOST}:${enginePort};
    keepalive 512;
    keepalive_requests 100000000;
  }
  server {
    listen ${HOST}:${port} backlog=4096;
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }
  }
}
`

export const nginx: Subject = {
  name: 'nginx',
  about: `nginx ${version()}, one worker, proxy_buffering off, keepalive`,
  peer: false,
  installed: () => find() !== undefined,
  async start(enginePort) {
    const path = find()
    if (path === undefined) throw new Error('nginx is not installed')
    const port = await freePort()
    const file = join(runFolder, 'nginx.conf')
    writeFileSync(file, configure(port, enginePort))
    const command = [path, '-e', 'stderr', '-p', runFolder, '-c', file]
    const started = start({ name: 'nginx', command, core: CORES.proxy })
    await untilServing('nginx', started, `http://${HOST}:${port}/health`, START_MS)
    return { name: 'nginx', host: HOST, port, model: 'bench', headers: {}, pid: started.pid, scale: 1, started }
  }
}
