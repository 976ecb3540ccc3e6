// Asks one engine again and again whether it is well, and says when the answer changes.

/** So many failures in a row take an engine out; one success brings it back. */
const FAILURES = 2

export interface HealthOptions {
  readonly intervalMs: number
  /** Resolves to whether the engine is well, within `timeoutMs`; never rejects. */
  readonly probe: (timeoutMs: number) => Promise<boolean>
  readonly onChange: (healthy: boolean) => void
}

/** Starts to ask, at once; the returned function stops. */
export function watchHealth({ intervalMs, probe, onChange }: HealthOptions): () => void {
  let healthy = false
  let failures = 0
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const ask = async () => {
    const well = await probe(Math.max(intervalMs, 1_000))
    if (stopped) return
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
