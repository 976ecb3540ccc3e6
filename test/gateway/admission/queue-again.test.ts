// Whoever had its turn and found every engine full: before whom it stands, for how long, and when it is sent away.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { refusalOf, settle, startQueue } from '../../helpers/queue.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a request that engines refused as one too many', () => {
  it('goes before those that had no turn', async () => {
    const { ask, askAgain, log } = startQueue(1)
    const first = ask(1)
    ask(2)
    askAgain(3)
    await first.give()
    await settle()
    expect(log).toEqual(['1 in', '3 in'])
  })

  it('goes at once where there is room, though others wait for theirs', async () => {
    const { ask, askAgain, state, log } = startQueue(1)
    ask(1)
    ask(2)
    state.capacity = 2
    askAgain(3)
    await settle()
    expect(log).toEqual(['1 in', '3 in'])
  })

  it('leaves every other turn to those that had none', async () => {
    const { ask, askAgain, log } = startQueue(1)
    const last = ask(1)
    const others = [ask(2), ask(3), ask(4)]
    const again = [askAgain(5), askAgain(6)]
    for (const { give } of [last, again[0], others[0], again[1], others[1]] as { give(): Promise<void> }[]) {
      await give()
      await settle()
    }
    expect(log).toEqual(['1 in', '5 in', '2 in', '6 in', '3 in', '4 in'])
  })

  it('stands behind those that were refused before it', async () => {
    const { ask, askAgain, state, queue, log } = startQueue(1)
    ask(1)
    askAgain(2)
    state.capacity = 2
    askAgain(3)
    state.capacity = 3
    queue.pump()
    await settle()
    expect(log).toEqual(['1 in', '2 in', '3 in'])
  })

  it('waits for the rest of its time', async () => {
    const { ask, askAgain, log } = startQueue(1)
    ask(1)
    askAgain(2, 700)
    await vi.advanceTimersByTimeAsync(299)
    const before = [...log]
    await vi.advanceTimersByTimeAsync(1)
    expect([before, log]).toEqual([['1 in'], ['1 in', '2 queue_timeout']])
  })

  it.each([
    ['it has waited as long as it may', 1_000, {}, 'queue_timeout'],
    ['nobody may wait', 0, { maxQueued: 0 }, 'queue_timeout']
  ])('is sent away where %s', async (_when, openMs, limits, code) => {
    const { ask, askAgain } = startQueue(1, limits)
    ask(1)
    expect(await refusalOf(askAgain(2, openMs).slot)).toBe(code)
  })

  it('is sent away where the last engine has gone, unless one is waited for', async () => {
    const sentAway = startQueue(1)
    const stays = startQueue(1, { waitForEngine: true })
    for (const { state } of [sentAway, stays]) state.capacity = 0
    expect(await refusalOf(sentAway.askAgain(1).slot)).toBe('no_engine')
    stays.askAgain(1)
    expect(stays.main()?.queued).toBe(1)
  })

  it('stands aside for a moment where the room may not be for it, holds up nobody, and then goes first', async () => {
    const { ask, askAgain, log, main } = startQueue(2)
    askAgain(1, 0, undefined, true)
    await vi.advanceTimersByTimeAsync(499)
    const [, last] = [ask(2), ask(3), ask(4)]
    await settle()
    expect([log, main()?.queued]).toEqual([['2 in', '3 in'], 2])
    await vi.advanceTimersByTimeAsync(1)
    await last?.give()
    await settle()
    expect([log, main()?.queued]).toEqual([['2 in', '3 in', '1 in'], 1])
  })

  it('goes as soon as it has stood aside where there is room', async () => {
    const { askAgain, log } = startQueue(1)
    askAgain(1, 0, undefined, true)
    await vi.advanceTimersByTimeAsync(500)
    expect(log).toEqual(['1 in'])
  })

  it('may leave, or have waited for too long, while it stands aside', async () => {
    const { askAgain, log, main } = startQueue(1)
    askAgain(1, 0, undefined, true).waiter.stop()
    askAgain(2, 900, undefined, true)
    await vi.advanceTimersByTimeAsync(100)
    expect([log, main()?.queued, vi.getTimerCount()]).toEqual([['1 client_gone', '2 queue_timeout'], 0, 0])
  })

  it('is sent away once it has waited as long as it may, though there is room', async () => {
    const { askAgain } = startQueue(1)
    expect(await refusalOf(askAgain(1, 1_000).slot)).toBe('queue_timeout')
  })

  it('has its place though the line is full, and counts there', async () => {
    const { ask, askAgain, main } = startQueue(1, { maxQueued: 1 })
    ask(1)
    ask(2)
    askAgain(3)
    expect(main()).toEqual({ pool: 'main', queued: 2, active: 1 })
    expect(await refusalOf(ask(4).slot)).toBe('queue_full')
  })

  it('leaves the line with its own reason', async () => {
    const { ask, askAgain, main } = startQueue(1)
    ask(1)
    const { waiter, slot } = askAgain(2)
    waiter.stop()
    expect([await refusalOf(slot), main()?.queued]).toEqual(['client_gone', 0])
    expect(await refusalOf(askAgain(3, 0, waiter).slot)).toBe('client_gone')
  })
})
