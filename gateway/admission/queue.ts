// Who may go next: at most as many requests at the engines of a pool as they can run at once; the others wait in line, bounded.
import type { Call, Outcome } from '../call.ts'
import { type ErrorCode, GatewayError } from '../errors.ts'

/** The bounds of one pool's line. */
export interface QueueLimits {
  readonly maxQueued: number
  readonly queueMs: number
  /** Without it a request for a pool that has no engine is refused at once. */
  readonly waitForEngine: boolean
}

/** What the line must know of a request. */
export interface Waiter {
  readonly stopped: Outcome | undefined
  onStop(listener: ((outcome: Outcome) => void) | undefined): void
}

/** The right to be at an engine, until disposed; or why there is none. */
export interface Slot extends Disposable {
  readonly refused: Outcome | undefined
}

export interface Queue {
  /** A slot where the request need not wait; else a promise of one, or of a refused one, that is never rejected. */
  admit(call: Pick<Call, 'model' | 'body'>, waiter: Waiter): Slot | Promise<Slot>
  /** Looks again who may go: capacity has grown. */
  pump(): void
  /** Requests that wait and requests that hold a slot, by pool. */
  snapshot(): { pool: string; queued: number; active: number }[]
}

export interface QueueDeps {
  /** The pool that serves a model; it exists for every model of the configuration. */
  readonly poolOf: (model: string) => string
  readonly limitsOf: (pool: string) => QueueLimits
  /** How many more requests the pool's engines take at once. */
  readonly roomOf: (pool: string) => number
  /** How many requests of the pool are at an engine. */
  readonly inFlightOf: (pool: string) => number
  /** Whether the pool has a healthy engine, full or not. */
  readonly hasEngine: (pool: string) => boolean
  /** Whether the memory for request bodies has room for this one; whoever need not wait goes all the same. */
  readonly admitsBody: (bytes: number) => boolean
}

interface Line {
  readonly pool: string
  readonly limits: QueueLimits
  active: number
  readonly waiting: Set<() => void>
}

/** Creates the lines of all pools. */
export function createQueue(pools: readonly string[], deps: QueueDeps): Queue {
  const lines = new Map<string, Line>()
  for (const pool of pools) lines.set(pool, { pool, limits: deps.limitsOf(pool), active: 0, waiting: new Set() })
  // those who hold a slot and are at no engine yet, or between two, have a claim on the room that there is
  const isFree = ({ pool, active }: Line) => deps.roomOf(pool) > active - deps.inFlightOf(pool)
  const pump = (line: Line) => {
    if (line.waiting.size === 0) return
    for (const enter of line.waiting) {
      if (!isFree(line)) return
      enter()
    }
  }
  return {
    admit(call, waiter) {
      const line = lines.get(deps.poolOf(call.model))
      if (line === undefined) return refused('no_engine')
      if (waiter.stopped !== undefined) return { refused: waiter.stopped, [Symbol.dispose]() {} }
      // asked for each, because each is counted
      const hasMemory = deps.admitsBody(call.body.bytes.length)
      if (line.waiting.size === 0 && isFree(line)) return new HeldSlot(line, pump)
      if (!line.limits.waitForEngine && !deps.hasEngine(line.pool)) return refused('no_engine')
      if (line.waiting.size >= line.limits.maxQueued) return refused('queue_full')
      if (!hasMemory) return refused('memory_full')
      return wait(line, waiter, pump)
    },
    pump() {
      for (const line of lines.values()) pump(line)
    },
    snapshot: () => [...lines.values()].map(({ pool, waiting, active }) => ({ pool, queued: waiting.size, active }))
  }
}

/** A slot that is taken; giving it back twice counts once. */
class HeldSlot implements Slot {
  readonly refused = undefined
  readonly #line: Line
  readonly #pump: (line: Line) => void
  #held = true

  constructor(line: Line, pump: (line: Line) => void) {
    this.#line = line
    this.#pump = pump
    line.active++
  }

  [Symbol.dispose](): void {
    if (!this.#held) return
    this.#held = false
    this.#line.active--
    this.#pump(this.#line)
  }
}

function refused(code: ErrorCode): Slot {
  const outcome: Outcome = { kind: 'error', error: new GatewayError(code), engineFault: false, retryable: false }
  return { refused: outcome, [Symbol.dispose]() {} }
}

/** Stands in line until a slot is free, the wait is too long, or the request has ended. */
function wait(line: Line, waiter: Waiter, pump: (line: Line) => void): Promise<Slot> {
  return new Promise((resolve) => {
    const leave = (slot: Slot) => {
      clearTimeout(timer)
      line.waiting.delete(enter)
      waiter.onStop(undefined)
      resolve(slot)
    }
    const enter = () => leave(new HeldSlot(line, pump))
    const timer = setTimeout(() => leave(refused('queue_timeout')), line.limits.queueMs)
    line.waiting.add(enter)
    waiter.onStop((outcome) => leave({ refused: outcome, [Symbol.dispose]() {} }))
  })
}
