// The file of API keys while the gateway runs: read again whenever it is another one.
import { stat } from 'node:fs/promises'
import type { KeyFile } from '../key-schema.ts'

export interface KeyFileDeps {
  /** Reads the file at `path`, and throws where it is not valid. */
  load(path: string): Promise<KeyFile>
  /** Resolves when they are in force. */
  onKeys(file: KeyFile): Promise<void>
  /** The file can't be read, or is not valid: told once for each cause, and tried again until it can. */
  onRefused(cause: Error): void
}

/**
 * Looks at the file every `everyMs`, first after one of them. It is asked for, not watched: kubelet replaces a mounted Secret by
 * turning a symbolic link two folders above, and file systems over the network tell nobody of changes.
 * @returns what ends it
 */
export function followKeyFile(path: string, everyMs: number, { load, onKeys, onRefused }: KeyFileDeps): () => void {
  let seen: string | undefined
  let refusedFor: string | undefined
  let timer: NodeJS.Timeout | undefined
  const look = async () => {
    const state = await describe(path)
    if (timer === undefined) return
    try {
      // of a state from before it is read: what is written meanwhile makes another one, and is read the next time
      if (state !== seen) await take()
      seen = state
      refusedFor = undefined
    } catch (cause) {
      const { message } = cause as Error
      if (timer !== undefined && message !== refusedFor) onRefused(cause as Error)
      refusedFor = message
      // a link that is turned back leads to the very file that was seen before: that it is in force again has to be told, too
      seen = undefined
    }
    if (timer !== undefined) timer = wait()
  }
  const take = async () => {
    const file = await load(path)
    if (timer !== undefined) await onKeys(file)
  }
  const wait = () => setTimeout(() => void look(), everyMs).unref()
  timer = wait()
  return () => {
    clearTimeout(timer)
    timer = undefined
  }
}

/** What differs as soon as somebody has written; its error, where the file can't be looked at. */
async function describe(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path)
    return [dev, ino, size, mtimeMs, ctimeMs].join()
  } catch (cause) {
    return String(cause)
  }
}
