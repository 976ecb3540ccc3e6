// A queue over pools without engines, those who ask it for slots, and what they were told, in order.
import { vi } from 'vitest'
import { createQueue, type QueueLimits, type Slot, type Waiter } from '../../gateway/admission/queue.ts'
import type { Outcome } from '../../gateway/call.ts'

/** A request that can end while it waits. */
export class FakeWaiter implements Waiter {
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

/** What a request has that is small. */
export const BODY = { type: 'application/json', bytes: Buffer.alloc(10) }

/** A queue of the pools `main`, with so much capacity, and `other`; and what came of those who asked. */
export function startQueue(capacity: number, limits: Partial<QueueLimits> = {}) {
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
/** Why there is no slot; undefined where there is one. */
export const refusalOf = async (slot: Slot | Promise<Slot>) => {
  const { refused } = await slot
  return refused && reasonOf(refused)
}

/** Lets everything run that is due. */
export const settle = () => vi.advanceTimersByTimeAsync(0)
