// The way out, on a clock that only the drain itself moves.
import { describe, expect, it } from 'vitest'
import { drain } from '../../gateway/drain.ts'

const OPTIONS = { propagationMs: 1_000, drainMs: 500 }

/** Drains while requests are open until `endsAtMs`; aborted ones end `flushMs` after that. Each sleep is `lateMs` too long. */
async function run(endsAtMs: number, flushMs = 0, options = OPTIONS, lateMs = 0): Promise<string[]> {
  const log: string[] = []
  let nowMs = 0
  let untilMs = endsAtMs
  await drain(options, {
    onPhase: (phase) => log.push(`${phase} at ${nowMs}`),
    openResponses: () => (nowMs < untilMs ? 1 : 0),
    stopListening: () => log.push(`stops listening at ${nowMs}`),
    abortAll() {
      log.push(`aborts at ${nowMs}`)
      untilMs = nowMs + flushMs
    },
    async sleep(ms) {
      nowMs += ms + lateMs
    },
    now: () => nowMs
  })
  return [...log, `over at ${nowMs}`]
}

describe('a drain', () => {
  it('serves on for the propagation time, then listens no more and is over when nothing is open', async () => {
    expect(await run(0)).toEqual(['unready at 0', 'closing at 1000', 'stops listening at 1000', 'over at 1000'])
  })

  it('waits for an open request and not longer', async () => {
    expect((await run(1_200)).slice(3)).toEqual(['over at 1200'])
  })

  it('ends what is open when its time is used up', async () => {
    expect((await run(9_000)).slice(3)).toEqual(['aborting at 1500', 'aborts at 1500', 'over at 1500'])
  })

  it('gives the last errors time to leave', async () => {
    expect((await run(9_000, 300)).at(-1)).toBe('over at 1800')
  })

  it('does not wait for ever for the last errors to leave', async () => {
    expect((await run(9_000, 60_000)).at(-1)).toBe('over at 2500')
  })

  it('on a busy machine, where each sleep is late, lasts no longer for it', async () => {
    const late = await run(9_000, 60_000, OPTIONS, 30)
    expect(late.slice(3)).toEqual(['aborting at 1530', 'aborts at 1530', 'over at 2530'])
  })

  it('whose time is no multiple of its looks does not sleep beyond it', async () => {
    expect((await run(9_000, 0, { propagationMs: 0, drainMs: 33 })).at(-1)).toBe('over at 33')
  })

  it('without propagation time goes on at once', async () => {
    expect(await run(0, 0, { propagationMs: 0, drainMs: 500 })).toEqual([
      'unready at 0',
      'closing at 0',
      'stops listening at 0',
      'over at 0'
    ])
  })
})
