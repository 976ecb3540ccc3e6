// Runs kubectl as an operator does, with one cluster's kubeconfig, and reads what it answers.
import { spawn } from 'node:child_process'

/** An object of the Kubernetes API as JSON: tests read the fields that they know. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is the API's, and a wrong field fails the assertion that reads it
export type KubernetesObject = any

export interface Answer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** What goes on until it is stopped. */
export interface Following {
  /** @throws with its complaint if it ended by itself before */
  stop(): Promise<void>
}

export interface Kubectl {
  /** @param input what it reads from `-f -` @throws with its complaint unless it ends with 0 @returns its standard output */
  run(args: readonly string[], input?: string): Promise<string>
  /** As `run`, but a refusal is an answer too. */
  try(args: readonly string[], input?: string): Promise<Answer>
  /** An object or a list as JSON: `get('pods', '-n', 'x')`. */
  get(...args: string[]): Promise<KubernetesObject>
  /** Calls `onLine` with each whole line that it prints, for as long as it runs: a watch, a log. */
  follow(args: readonly string[], onLine: (line: string) => void): Following
  /** The same cluster as somebody else: `--as=system:serviceaccount:ns:name`. */
  as(user: string): Kubectl
}

/** @param path of the program @param kubeconfig file that it is given */
export function createKubectl(path: string, kubeconfig: string, global: readonly string[] = []): Kubectl {
  const attempt = async (args: readonly string[], input = ''): Promise<Answer> => {
    const child = spawn(path, [`--kubeconfig=${kubeconfig}`, ...global, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    // it may refuse before it has read all: that is in its answer
    child.stdin.on('error', () => {}).end(input)
    const code = await new Promise<number | null>((resolve, reject) =>
      child.once('close', resolve).once('error', reject)
    )
    return { code: code ?? 1, stdout, stderr }
  }
  const run = async (args: readonly string[], input?: string) => {
    const { code, stdout, stderr } = await attempt(args, input)
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}${stdout}`)
    return stdout
  }
  const follow = (args: readonly string[], onLine: (line: string) => void): Following => {
    const child = spawn(path, [`--kubeconfig=${kubeconfig}`, ...global, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    let stopped = false
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      // what has no end yet may never get one: it is stopped in the middle of a line
      rest = lines.pop() ?? ''
      for (const line of lines) onLine(line)
    })
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
    const ended = new Promise<Error | undefined>((resolve) => {
      child.once('error', resolve)
      child.once('close', () => resolve(stopped ? undefined : new Error(`kubectl ${args.join(' ')} ended: ${stderr}`)))
    })
    return {
      async stop() {
        stopped = child.exitCode === null && child.signalCode === null
        child.kill()
        const failure = await ended
        if (failure !== undefined) throw failure
      }
    }
  }
  return {
    run,
    try: attempt,
    follow,
    get: async (...args) => JSON.parse(await run(['get', ...args, '--output=json'])),
    as: (user) => createKubectl(path, kubeconfig, [...global, `--as=${user}`])
  }
}
