// Streams that are open while something happens to the cluster: read by a process of their own, in a network of one's choice.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { entrust } from './caretaker.ts'
import type { ReaderLine, StreamOrder, StreamRecord } from './stream-reader.ts'

export interface Crowd {
  /** When each of the streams has had its first token. */
  readonly open: Promise<void>
  readonly ended: Promise<Extract<ReaderLine, { streams: unknown }>>
}

/** @param enter the command that the reader is started by, such as nsenter with its arguments; none: from here */
export function openCrowd(order: StreamOrder, enter: readonly string[] = []): Crowd {
  const [path = '', ...args] = [...enter, process.execPath, join(import.meta.dirname, 'stream-reader.ts')]
  const child = spawn(path, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const dismiss = child.pid === undefined ? () => {} : entrust({ kill: child.pid })
  child.stdin.on('error', () => {}).end(JSON.stringify(order))
  const opened = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<Extract<ReaderLine, { streams: unknown }>>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const told: ReaderLine = JSON.parse(line)
    if ('open' in told) opened.resolve()
    else ended.resolve(told)
  })
  // what was told first counts: after the end these do nothing
  const fail = (cause: Error) => ended.reject(cause)
  child.once('error', fail).once('close', (code) => {
    dismiss()
    fail(new Error(`the reader ended with ${code} and told nothing`))
  })
  // streams that all fail before their first token end the wait for it, too
  const open = Promise.race([
    opened.promise,
    ended.promise.then(({ streams }) => {
      throw new Error(`not all streams began: ${failuresOf(streams).slice(0, 3).join('; ')}`)
    })
  ])
  open.catch(() => {})
  return { open, ended: ended.promise }
}

/** What went wrong, of those where something did. */
export const failuresOf = (records: readonly StreamRecord[]): string[] =>
  records.map(({ failure }) => failure).filter(Boolean)

/** The times between the tokens of a stream, in ms, sorted. */
export function gapsOf({ arrivalsMs }: StreamRecord): number[] {
  return arrivalsMs
    .slice(1)
    .map((at, index) => at - (arrivalsMs[index] ?? 0))
    .sort((a, b) => a - b)
}

/** @param part 0.5 for the median */
export const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
