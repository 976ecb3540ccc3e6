// The line in front of the engines of a pool: who goes, who waits, who is turned away, and that every place is given back.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createQueue, type QueueLimits, type Slot, type Waiter } from '../../../gateway/admission/queue.ts'
import type { Outcome } from '../../../gateway/call.ts'

class FakeWaiter implements Waiter {
  stopped: Outcome | undefined
  #onStop: ((outcome: Outcome) => void) | undefined

  onStop(listener: ((outcome: Outcome) => void) | undefined): void {
    this.#onStop = listener
  }

  get listens(): boolean {
    return this.#onStop !== undefined
  }

  stop(): void {
    this.stopped = { kind: 'client_gone' }
    this.#onStop?.(this.stopped)
  }
}

const BODY = { type: 'application/json', bytes: Buffer.alloc(10) }

function start(capacity: number, limits: Partial<QueueLimits> = {}) {
  const state = { capacity, other: 1, mostBytes: 1_000 }
  const queue = createQueue(['main', 'other'], {
    poolOf: (model) => (model === 'm' ? 'main' : model),
    limitsOf: () => ({ maxQueued: 10, queueMs: 1_000, waitForEngine: false, ...limits }),
    // none of these slots is ever at an engine, so each holds a claim on the room
    roomOf: (pool) => (pool === 'main' ? state.capacity : state.other),
    inFlightOf: () => 0,
    hasEngine: (pool) => (pool === 'main' ? state.capacity : state.other) > 0,
    admitsBody: (bytes) => bytes <= state.mostBytes
  })
  const log: string[] = []
  /** Asks for a slot; its number is logged when it is in, or why it is not. */
  const ask = (number: number, model = 'm', bodyBytes = 10) => {
    const waiter = new FakeWaiter()
    return note(number, waiter, queue.admit({ model, body: { ...BODY, bytes: Buffer.alloc(bodyBytes) } }, waiter))
  }
  const askAgain = (number: number, openMs = 0, waiter = new FakeWaiter(), pauses = false) =>
    note(number, waiter, queue.readmit({ model: 'm' }, waiter, openMs, pauses))
  const note = (number: number, waiter: FakeWaiter, slot: Slot | Promise<Slot>) => {
    void Promise.resolve(slot).then(({ refused }) =>
      log.push(`${number} ${refused === undefined ? 'in' : reasonOf(refused)}`)
    )
    return { waiter, slot, give: async () => (await slot)[Symbol.dispose]() }
  }
  const main = () => queue.snapshot().find(({ pool }) => pool === 'main')
  return { queue, state, log, ask, askAgain, main }
}

const reasonOf = (outcome: Outcome) => (outcome.kind === 'error' ? outcome.error.code : outcome.kind)
const refusalOf = async (slot: Slot | Promise<Slot>) => {
  const { refused } = await slot
  return refused && reasonOf(refused)
}

/** Lets everything run that is due. */
const settle = () => vi.advanceTimersByTimeAsync(0)

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a free pool', () => {
  it('takes as many requests as its engines run', async () => {
    const { ask, log, main } = start(2)
    for (const number of [1, 2, 3]) ask(number)
    await settle()
    expect([log, main()]).toEqual([['1 in', '2 in'], { pool: 'main', queued: 1, active: 2 }])
  })

  it('is not filled by the requests of another one', async () => {
    const { ask, log } = start(1)
    ask(1)
    ask(2, 'other')
    await settle()
    expect(log).toEqual(['1 in', '2 in'])
  })
})

describe('the line', () => {
  it('lets one in for each one that leaves, in the order in which they came', async () => {
    const { ask, log } = start(1)
    const asked = [1, 2, 3, 4].map((number) => ask(number))
    for (const { give } of asked) {
      await give()
      await settle()
    }
    expect(log).toEqual(['1 in', '2 in', '3 in', '4 in'])
  })

  it('lets nobody overtake it', async () => {
    const { ask, log, state } = start(1)
    ask(1)
    ask(2)
    state.capacity = 2
    ask(3)
    await settle()
    expect(log).toEqual(['1 in'])
  })

  it('lets in as many as there is room for when capacity has grown', async () => {
    const { queue, ask, log, state } = start(1)
    for (const number of [1, 2, 3, 4]) ask(number)
    state.capacity = 3
    queue.pump()
    await settle()
    expect(log).toEqual(['1 in', '2 in', '3 in'])
  })

  it('lets nobody in while a smaller pool is still over its capacity', async () => {
    const { ask, log, state } = start(2)
    const [first] = [1, 2, 3].map((number) => ask(number))
    state.capacity = 1
    await first?.give()
    await settle()
    expect(log).toEqual(['1 in', '2 in'])
  })

  it('turns away the one that finds it full', async () => {
    const { ask } = start(1, { maxQueued: 1 })
    ask(1)
    ask(2)
    expect(await refusalOf(ask(3).slot)).toBe('queue_full')
  })

  it('turns away a body that there is no memory for, and takes the next that fits', async () => {
    const { ask, main } = start(1)
    ask(1)
    expect(await refusalOf(ask(2, 'm', 1_001).slot)).toBe('memory_full')
    ask(3, 'm', 1_000)
    expect(main()).toEqual({ pool: 'main', queued: 1, active: 1 })
  })

  it('takes a body that there is no memory for where it need not wait, and says first what is worse', async () => {
    const { ask, state } = start(1, { maxQueued: 0 })
    expect(await refusalOf(ask(1, 'm', 1_001).slot)).toBeUndefined()
    expect(await refusalOf(ask(2, 'm', 1_001).slot)).toBe('queue_full')
    state.other = 0
    expect(await refusalOf(ask(3, 'other', 1_001).slot)).toBe('no_engine')
  })

  it('of no places turns away everybody who would have to wait', async () => {
    const { ask } = start(1, { maxQueued: 0 })
    ask(1)
    expect(await refusalOf(ask(2).slot)).toBe('queue_full')
  })

  it('has one place more when somebody has left it', async () => {
    const { ask, main } = start(1, { maxQueued: 1 })
    ask(1)
    ask(2).waiter.stop()
    ask(3)
    expect(main()).toEqual({ pool: 'main', queued: 1, active: 1 })
  })

  it('sends away whoever waited too long', async () => {
    const { ask, log } = start(1)
    ask(1)
    ask(2)
    await vi.advanceTimersByTimeAsync(999)
    const before = [...log]
    await vi.advanceTimersByTimeAsync(1)
    expect([before, log]).toEqual([['1 in'], ['1 in', '2 queue_timeout']])
  })

  it('does not send away later whoever got in', async () => {
    const { ask, log, main } = start(1)
    const first = ask(1)
    ask(2)
    await first.give()
    await vi.advanceTimersByTimeAsync(5_000)
    expect([log, main()?.active]).toEqual([['1 in', '2 in'], 1])
  })
})

describe('a request that engines refused as one too many', () => {
  it('goes before those that had no turn', async () => {
    const { ask, askAgain, log } = start(1)
    const first = ask(1)
    ask(2)
    askAgain(3)
    await first.give()
    await settle()
    expect(log).toEqual(['1 in', '3 in'])
  })

  it('goes at once where there is room, though others wait for theirs', async () => {
    const { ask, askAgain, state, log } = start(1)
    ask(1)
    ask(2)
    state.capacity = 2
    askAgain(3)
    await settle()
    expect(log).toEqual(['1 in', '3 in'])
  })

  it('leaves every other turn to those that had none', async () => {
    const { ask, askAgain, log } = start(1)
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
    const { ask, askAgain, state, queue, log } = start(1)
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
    const { ask, askAgain, log } = start(1)
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
    const { ask, askAgain } = start(1, limits)
    ask(1)
    expect(await refusalOf(askAgain(2, openMs).slot)).toBe(code)
  })

  it('is sent away where the last engine has gone, unless one is waited for', async () => {
    const sentAway = start(1)
    const stays = start(1, { waitForEngine: true })
    for (const { state } of [sentAway, stays]) state.capacity = 0
    expect(await refusalOf(sentAway.askAgain(1).slot)).toBe('no_engine')
    stays.askAgain(1)
    expect(stays.main()?.queued).toBe(1)
  })

  it('stands aside for a moment where the room may not be for it, holds up nobody, and then goes first', async () => {
    const { ask, askAgain, log, main } = start(2)
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
    const { askAgain, log } = start(1)
    askAgain(1, 0, undefined, true)
    await vi.advanceTimersByTimeAsync(500)
    expect(log).toEqual(['1 in'])
  })

  it('may leave, or have waited for too long, while it stands aside', async () => {
    const { askAgain, log, main } = start(1)
    askAgain(1, 0, undefined, true).waiter.stop()
    askAgain(2, 900, undefined, true)
    await vi.advanceTimersByTimeAsync(100)
    expect([log, main()?.queued, vi.getTimerCount()]).toEqual([['1 client_gone', '2 queue_timeout'], 0, 0])
  })

  it('is sent away once it has waited as long as it may, though there is room', async () => {
    const { askAgain } = start(1)
    expect(await refusalOf(askAgain(1, 1_000).slot)).toBe('queue_timeout')
  })

  it('has its place though the line is full, and counts there', async () => {
    const { ask, askAgain, main } = start(1, { maxQueued: 1 })
    ask(1)
    ask(2)
    askAgain(3)
    expect(main()).toEqual({ pool: 'main', queued: 2, active: 1 })
    expect(await refusalOf(ask(4).slot)).toBe('queue_full')
  })

  it('leaves the line with its own reason', async () => {
    const { ask, askAgain, main } = start(1)
    ask(1)
    const { waiter, slot } = askAgain(2)
    waiter.stop()
    expect([await refusalOf(slot), main()?.queued]).toEqual(['client_gone', 0])
    expect(await refusalOf(askAgain(3, 0, waiter).slot)).toBe('client_gone')
  })
})

describe('a request that ends while it waits', () => {
  it('leaves the line with its own reason', async () => {
    const { ask } = start(1)
    ask(1)
    const second = ask(2)
    second.waiter.stop()
    expect(await refusalOf(second.slot)).toBe('client_gone')
  })

  it('gives its turn to the next one', async () => {
    const { ask, log } = start(1)
    const first = ask(1)
    const second = ask(2)
    ask(3)
    second.waiter.stop()
    await first.give()
    await settle()
    expect(log).toEqual(['1 in', '2 client_gone', '3 in'])
  })

  it('is heard no more once it is in', async () => {
    const { ask } = start(1)
    const first = ask(1)
    const second = ask(2)
    await first.give()
    await settle()
    expect(second.waiter.listens).toBe(false)
  })

  it('before it came never gets a slot', async () => {
    const { queue, main } = start(1)
    const waiter = new FakeWaiter()
    waiter.stop()
    expect([await refusalOf(queue.admit({ model: 'm', body: BODY }, waiter)), main()?.active]).toEqual([
      'client_gone',
      0
    ])
  })

  it('in the moment in which its turn comes still gives its slot back', async () => {
    const { ask, log } = start(1)
    const first = ask(1)
    const second = ask(2)
    ask(3)
    await first.give()
    second.waiter.stop()
    await second.give()
    await settle()
    expect(log).toEqual(['1 in', '2 in', '3 in'])
  })
})

describe('a slot', () => {
  it('that is given back twice counts once', async () => {
    const { ask, main } = start(2)
    const first = ask(1)
    ask(2)
    await first.give()
    await first.give()
    expect(main()?.active).toBe(1)
  })

  it('that was refused gives nothing back', async () => {
    const { ask, main } = start(1, { maxQueued: 0 })
    ask(1)
    await ask(2).give()
    expect(main()?.active).toBe(1)
  })
})

describe('a pool without engines', () => {
  it('turns requests away at once', async () => {
    expect(await refusalOf(start(0).ask(1).slot)).toBe('no_engine')
  })

  it('lets them wait where the configuration says so', async () => {
    const { queue, ask, log, state } = start(0, { waitForEngine: true })
    ask(1)
    await settle()
    state.capacity = 1
    queue.pump()
    await settle()
    expect(log).toEqual(['1 in'])
  })

  it('does not let them wait for ever', async () => {
    const { ask, log } = start(0, { waitForEngine: true })
    ask(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(log).toEqual(['1 queue_timeout'])
  })

  it('that nobody knows turns requests away', async () => {
    expect(await refusalOf(start(1).ask(1, 'unknown').slot)).toBe('no_engine')
  })
})
