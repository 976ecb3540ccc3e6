// The namespaces that a node lives in: its own processes, mounts and network, and all of it gone when its first process is.
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { claimGroup } from './cgroups.ts'
import { eventually, type Started, type Workshop } from './processes.ts'
import { runProgram } from './shell.ts'

export interface NodeSpace extends AsyncDisposable {
  readonly name: string
  /** The node's own files, seen from outside by the same path. */
  readonly folder: string
  /** Of the first process, as the machine counts. */
  readonly pid: number
  /** The cgroup below which its pods are. */
  readonly group: string
  /** Starts a program there; it is ended with the space. */
  start(name: string, path: string, args: readonly string[], env?: Readonly<Record<string, string>>): Started
  /** The last words of the programs that were started there and have ended by themselves: nothing when all is well. */
  failures(): string
  /** Runs a program there to its end. */
  run(...command: string[]): Promise<string>
}

/**
 * The first process of the namespaces. What it mounts is seen in them alone: an empty /run and /var/log, where node
 * programs have fixed places. It ends when the test does, and with it each process of the node, containers too; bash
 * waits for those that lost their parent.
 */
const FIRST_PROCESS = `
set -eu
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
hostname "$NODE_NAME"
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
touch "$READY"
sleep infinity & wait
`

/** Opens the namespaces. Disposing kills all that runs in them. */
export async function openNodeSpace(workshop: Workshop, name: string): Promise<NodeSpace> {
  const folder = join(workshop.folder, name)
  mkdirSync(folder)
  const group = claimGroup(name)
  const ready = join(folder, 'ready')
  const kinds = ['--pid', '--mount', '--net', '--uts', '--ipc']
  // when the keeper is killed so is the first process, and by the kernel everything else
  const keeper = workshop.start(
    `${name}-space`,
    'unshare',
    ['--fork', '--kill-child', '--mount-proc', ...kinds, 'bash', '-c', FIRST_PROCESS],
    { NODE_NAME: name, READY: ready }
  )
  const isReady = () => {
    keeper.assertAlive()
    return existsSync(ready)
  }
  await eventually(`the namespaces of ${name}`, isReady, { withinMs: 20_000, everyMs: 20, state: () => keeper.tail() })
  const outer = keeper.child.pid
  const pid = Number(readFileSync(`/proc/${outer}/task/${outer}/children`, 'utf8').trim().split(' ')[0])
  const enter = ['--target', `${pid}`, ...kinds, '--']
  const started: Started[] = []
  return {
    name,
    folder,
    pid,
    group: group.path,
    start(program, path, args, env) {
      const one = workshop.start(`${name}-${program}`, 'nsenter', [...enter, path, ...args], env)
      started.push(one)
      return one
    },
    failures: () => started.map(lastWords).join(''),
    run: (...command) => runProgram(['nsenter', ...enter, ...command]),
    async [Symbol.asyncDispose]() {
      keeper.child.kill('SIGKILL')
      await keeper.stop()
      await group.release()
    }
  }
}

function lastWords(one: Started): string {
  try {
    one.assertAlive()
    return ''
  } catch (cause) {
    return `${(cause as Error).message}\n`
  }
}
