// The way out: serving -> unready -> closing -> aborting, without cutting a stream that has time to end.

export type Phase = 'serving' | 'unready' | 'closing' | 'aborting'

export interface DrainOptions {
  /** How long new work is still taken after readiness has failed. */
  readonly propagationMs: number
  /** How long open streams may then run on. */
  readonly drainMs: number
}

export interface DrainDeps {
  readonly onPhase: (phase: Phase) => void
  /** How many responses have not left yet, the last bytes for a slow reader included, and answers that are still written. */
  readonly openResponses: () => number
  /** Takes no connection any more. */
  readonly stopListening: () => void
  /** Ends every open request with an error that its reader sees. */
  readonly abortAll: () => void
  readonly sleep: (ms: number) => Promise<void>
  /** A monotonic clock in ms: under load a sleep lasts longer than it should. */
  readonly now: () => number
}

/** How often the drain looks whether the last stream has ended, in ms. */
const LOOK_MS = 20
/** How long the last error events may take to leave, in ms. */
const FLUSH_MS = 1_000

/** Runs the whole way out; resolves when nothing is open any more, or all time is used up. */
export async function drain(options: DrainOptions, deps: DrainDeps): Promise<void> {
  const untilIdle = async (ms: number) => {
    const endMs = deps.now() + ms
    for (let leftMs = ms; deps.openResponses() > 0 && leftMs > 0; leftMs = endMs - deps.now())
      await deps.sleep(Math.min(LOOK_MS, leftMs))
  }
  deps.onPhase('unready')
  await deps.sleep(options.propagationMs)
  deps.onPhase('closing')
  deps.stopListening()
  await untilIdle(options.drainMs)
  if (deps.openResponses() === 0) return
  deps.onPhase('aborting')
  deps.abortAll()
  await untilIdle(FLUSH_MS)
}
