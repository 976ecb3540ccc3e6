// Runs a program to its end and hands back what it printed, or throws with what it complained of.
import { spawn } from 'node:child_process'

export interface RunOptions {
  readonly cwd?: string
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>
  /** What it reads from its standard input. @default nothing */
  readonly input?: string
}

/** @param command the program and its arguments @throws with the end of what it wrote unless it ends with 0 */
export async function runProgram(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const [path = '', ...args] = command
  const { cwd, env = {}, input = '' } = options
  const child = spawn(path, args, { ...(cwd === undefined ? {} : { cwd }), env: { ...process.env, ...env } })
  let printed = ''
  let complained = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (printed += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (complained += text))
  // it may end before it has read all: that is in its code
  child.stdin.on('error', () => {}).end(input)
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject))
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${(complained + printed).slice(-4000)}`)
  return printed
}
