// The line in front of the engines of a pool: who goes, who waits, who is turned away, and that every place is given back.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { BODY, FakeWaiter, refusalOf, settle, startQueue } from '../../helpers/queue.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a free pool', () => {
  it('takes as many requests as its engines run', async () => {
    const { ask, log, main } = startQueue(2)
    for (const number of [1, 2, 3]) ask(number)
    await settle()
    expect([log, main()]).toEqual([['1 in', '2 in'], { pool: 'main', queued: 1, active: 2 }])
  })

  it('is not filled by the requests of another one', async () => {
    const { ask, log } = startQueue(1)
    ask(1)
    ask(2, 'other')
    await settle()
    expect(log).toEqual(['1 in', '2 in'])
  })
})

describe('the line', () => {
  it('lets one in for each one that leaves, in the order in which they came', async () => {
    const { ask, log } = startQueue(1)
    const asked = [1, 2, 3, 4].map((number) => ask(number))
    for (const { give } of asked) {
      await give()
      await settle()
    }
    expect(log).toEqual(['1 in', '2 in', '3 in', '4 in'])
  })

  it('lets nobody overtake it', async () => {
    const { ask, log, state } = startQueue(1)
    ask(1)
    ask(2)
    state.capacity = 2
    ask(3)
    await settle()
    expect(log).toEqual(['1 in'])
  })

  it('lets in as many as there is room for when capacity has grown', async () => {
    const { queue, ask, log, state } = startQueue(1)
    for (const number of [1, 2, 3, 4]) ask(number)
    state.capacity = 3
    queue.pump()
    await settle()
    expect(log).toEqual(['1 in', '2 in', '3 in'])
  })

  it('lets nobody in while a smaller pool is still over its capacity', async () => {
    const { ask, log, state } = startQueue(2)
    const [first] = [1, 2, 3].map((number) => ask(number))
    state.capacity = 1
    await first?.give()
    await settle()
    expect(log).toEqual(['1 in', '2 in'])
  })

  it('turns away the one that finds it full', async () => {
    const { ask } = startQueue(1, { maxQueued: 1 })
    ask(1)
    ask(2)
    expect(await refusalOf(ask(3).slot)).toBe('queue_full')
  })

  it('turns away a body that there is no memory for, and takes the next that fits', async () => {
    const { ask, main } = startQueue(1)
    ask(1)
    expect(await refusalOf(ask(2, 'm', 1_001).slot)).toBe('memory_full')
    ask(3, 'm', 1_000)
    expect(main()).toEqual({ pool: 'main', queued: 1, active: 1 })
  })

  it('takes a body that there is no memory for where it need not wait, and says first what is worse', async () => {
    const { ask, state } = startQueue(1, { maxQueued: 0 })
    expect(await refusalOf(ask(1, 'm', 1_001).slot)).toBeUndefined()
    expect(await refusalOf(ask(2, 'm', 1_001).slot)).toBe('queue_full')
    state.other = 0
    expect(await refusalOf(ask(3, 'other', 1_001).slot)).toBe('no_engine')
  })

  it('of no places turns away everybody who would have to wait', async () => {
    const { ask } = startQueue(1, { maxQueued: 0 })
    ask(1)
    expect(await refusalOf(ask(2).slot)).toBe('queue_full')
  })

  it('has one place more when somebody has left it', async () => {
    const { ask, main } = startQueue(1, { maxQueued: 1 })
    ask(1)
    ask(2).waiter.stop()
    ask(3)
    expect(main()).toEqual({ pool: 'main', queued: 1, active: 1 })
  })

  it('sends away whoever waited too long', async () => {
    const { ask, log } = startQueue(1)
    ask(1)
    ask(2)
    await vi.advanceTimersByTimeAsync(999)
    const before = [...log]
    await vi.advanceTimersByTimeAsync(1)
    expect([before, log]).toEqual([['1 in'], ['1 in', '2 queue_timeout']])
  })

  it('does not send away later whoever got in', async () => {
    const { ask, log, main } = startQueue(1)
    const first = ask(1)
    ask(2)
    await first.give()
    await vi.advanceTimersByTimeAsync(5_000)
    expect([log, main()?.active]).toEqual([['1 in', '2 in'], 1])
  })
})

describe('a request that ends while it waits', () => {
  it('leaves the line with its own reason', async () => {
    const { ask } = startQueue(1)
    ask(1)
    const second = ask(2)
    second.waiter.stop()
    expect(await refusalOf(second.slot)).toBe('client_gone')
  })

  it('gives its turn to the next one', async () => {
    const { ask, log } = startQueue(1)
    const first = ask(1)
    const second = ask(2)
    ask(3)
    second.waiter.stop()
    await first.give()
    await settle()
    expect(log).toEqual(['1 in', '2 client_gone', '3 in'])
  })

  it('is heard no more once it is in', async () => {
    const { ask } = startQueue(1)
    const first = ask(1)
    const second = ask(2)
    await first.give()
    await settle()
    expect(second.waiter.listens).toBe(false)
  })

  it('before it came never gets a slot', async () => {
    const { queue, main } = startQueue(1)
    const waiter = new FakeWaiter()
    waiter.stop()
    expect([await refusalOf(queue.admit({ model: 'm', body: BODY }, waiter)), main()?.active]).toEqual([
      'client_gone',
      0
    ])
  })

  it('in the moment in which its turn comes still gives its slot back', async () => {
    const { ask, log } = startQueue(1)
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
    const { ask, main } = startQueue(2)
    const first = ask(1)
    ask(2)
    await first.give()
    await first.give()
    expect(main()?.active).toBe(1)
  })

  it('that was refused gives nothing back', async () => {
    const { ask, main } = startQueue(1, { maxQueued: 0 })
    ask(1)
    await ask(2).give()
    expect(main()?.active).toBe(1)
  })
})

describe('a pool without engines', () => {
  it('turns requests away at once', async () => {
    expect(await refusalOf(startQueue(0).ask(1).slot)).toBe('no_engine')
  })

  it('lets them wait where the configuration says so', async () => {
    const { queue, ask, log, state } = startQueue(0, { waitForEngine: true })
    ask(1)
    await settle()
    state.capacity = 1
    queue.pump()
    await settle()
    expect(log).toEqual(['1 in'])
  })

  it('does not let them wait for ever', async () => {
    const { ask, log } = startQueue(0, { waitForEngine: true })
    ask(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(log).toEqual(['1 queue_timeout'])
  })

  it('that nobody knows turns requests away', async () => {
    expect(await refusalOf(startQueue(1).ask(1, 'unknown').slot)).toBe('no_engine')
  })
})
