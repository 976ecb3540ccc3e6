// Runs a real Redis on a free port of the loopback, which keeps nothing on disk.
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { freePort } from './free-port.ts'
import { until } from './gateway.ts'
import { findProgram } from './program.ts'

export const REDIS = findProgram('redis-server')

export interface TestRedis extends AsyncDisposable {
  readonly url: string
  /** Ends it at once; `startRedis(port)` brings another one, with nothing in it. */
  stop(): Promise<void>
  readonly port: number
}

/** Starts Redis, with a password as a real one has. */
export async function startRedis(wantedPort?: number): Promise<TestRedis> {
  const port = wantedPort ?? (await freePort())
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--requirepass',
    'sesame'
  ]
  const child = spawn(REDIS ?? 'redis-server', args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  await until('Redis listens', () => {
    if (child.exitCode !== null) throw new Error('redis-server ended')
    return canConnect(port)
  })
  const stop = async () => {
    child.kill('SIGKILL')
    await exited
  }
  return { url: `redis://:sesame@127.0.0.1:${port}`, port, stop, [Symbol.asyncDispose]: stop }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
