// Asks one engine again and again whether it is well, and says when the answer changes.

/** So many failures in a row take an engine out; one success brings it back. */
const FAILURES = 2

export interface HealthOptions {
  readonly intervalMs: number
  /** Resolves to why the engine is not well, or to nothing where it is, within `timeoutMs`; never rejects. */
  readonly probe: (timeoutMs: number) => Promise<string | undefined>
  readonly onChange: (healthy: boolean) => void
  /** Told why a probe failed, unless the one before it failed for the same reason. */
  readonly onFailure: (why: string) => void
}

/** Starts to ask, at once; the returned function stops. */
export function watchHealth({ intervalMs, probe, onChange, onFailure }: HealthOptions): () => void {
  let healthy = false
  let failures = 0
  let lastFailure: string | undefined
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const ask = async () => {
    const failure = await probe(Math.max(intervalMs, 1_000))
    if (stopped) return
    const well = failure === undefined
    if (!well && failure !== lastFailure) onFailure(failure)
    lastFailure = failure
    failures = well ? 0 : failures + 1
    const now = well || (healthy && failures < FAILURES)
    if (now !== healthy) {
      healthy = now
      onChange(now)
    }
    // an engine that is down is asked more often: it may be back at any moment
    timer = setTimeout(ask, healthy ? intervalMs : Math.min(intervalMs, 500)).unref()
  }
  void ask()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
