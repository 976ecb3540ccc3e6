// Runs a program that a page shows, as somebody does who copies it from there.
import { spawn } from 'node:child_process'
import { findProgram } from './program.ts'

export const PYTHON = findProgram('.cache/python/bin/python')

/** How a program ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const COMMANDS: Readonly<Record<string, (code: string) => [program: string, args: string[]]>> = {
  js: (code) => [process.execPath, ['--input-type=module', '--eval', code]],
  javascript: (code) => [process.execPath, ['--input-type=module', '--eval', code]],
  python: (code) => [PYTHON ?? 'python3', ['-c', code]],
  curl: (code) => ['sh', ['-c', code]]
}

/** Runs `code` of `language` to its end, with `environment` and nothing else of this process's but its path. */
export function runSnippet(language: string, code: string, environment: Record<string, string>): Promise<Ended> {
  const [program, args] = COMMANDS[language]?.(code) ?? []
  if (program === undefined) throw new Error(`nothing runs ${language}`)
  const child = spawn(program, args ?? [], { env: { PATH: process.env.PATH, ...environment } })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (bytes) => (output.stdout += bytes))
  child.stderr.on('data', (bytes) => (output.stderr += bytes))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...output })))
}
