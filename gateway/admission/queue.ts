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
  /**
   * The same for a request that had its turn and found every engine full: it stands before those that had none, but for
   * every other turn, which is theirs.
   * @param waitedMs how long it has waited in all; it waits for the rest of `queueMs`
   * @param pauses the room that there is may be at engines that turned it away: it stands aside for half a second first
   */
  readmit(call: Pick<Call, 'model'>, waiter: Waiter, waitedMs: number, pauses: boolean): Slot | Promise<Slot>
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
  readonly waiting: Set<Enter>
  /** Those who wait again, each because it met full engines. */
  readonly returned: Set<Enter>
  /** Those who will be among them after a pause, and hold up nobody until then. */
  readonly pausing: Set<Enter>
  /** The last turn was of one of them. */
  wasReturned: boolean
}

type Enter = () => void

const PAUSE_MS = 500

/** Creates the lines of all pools. */
export function createQueue(pools: readonly string[], deps: QueueDeps): Queue {
  const lines = new Map(pools.map((pool) => [pool, createLine(pool, deps.limitsOf(pool))]))
  // those who hold a slot and are at no engine yet, or between two, have a claim on the room that there is
  const isFree = ({ pool, active }: Line) => deps.roomOf(pool) > active - deps.inFlightOf(pool)
  const pump = (line: Line) => {
    while (countReady(line) > 0 && isFree(line)) takeNext(line)()
  }
  return {
    admit(call, waiter) {
      const line = lines.get(deps.poolOf(call.model))
      if (line === undefined) return refused('no_engine')
      if (waiter.stopped !== undefined) return { refused: waiter.stopped, [Symbol.dispose]() {} }
      // asked for each, because each is counted
      const hasMemory = deps.admitsBody(call.body.bytes.length)
      if (countReady(line) === 0 && isFree(line)) return new HeldSlot(line, pump)
      const refusal = findRefusal(line, deps.hasEngine(line.pool), hasMemory)
      return refusal === undefined ? wait(line, line.waiting, line.limits.queueMs, waiter, pump) : refused(refusal)
    },
    readmit(call, waiter, waitedMs, pauses) {
      const line = lines.get(deps.poolOf(call.model))
      if (line === undefined) return refused('no_engine')
      if (waiter.stopped !== undefined) return { refused: waiter.stopped, [Symbol.dispose]() {} }
      const leftMs = line.limits.queueMs - waitedMs
      if (leftMs <= 0) return refused('queue_timeout')
      if (!pauses && line.returned.size === 0 && isFree(line)) return new HeldSlot(line, pump)
      // it was let in once, and its place may be taken: it waits all the same, where anybody may
      if (line.limits.maxQueued === 0) return refused('queue_timeout')
      return wait(line, pauses ? line.pausing : line.returned, leftMs, waiter, pump)
    },
    pump() {
      for (const line of lines.values()) pump(line)
    },
    snapshot: () =>
      [...lines.values()].map((line) => ({ pool: line.pool, queued: countQueued(line), active: line.active }))
  }
}

function createLine(pool: string, limits: QueueLimits): Line {
  return { pool, limits, active: 0, waiting: new Set(), returned: new Set(), pausing: new Set(), wasReturned: false }
}

/** Those who would go now if there were room. */
const countReady = ({ waiting, returned }: Line) => waiting.size + returned.size

const countQueued = (line: Line) => countReady(line) + line.pausing.size

/** Why whoever has to wait may not. */
function findRefusal(line: Line, hasEngine: boolean, hasMemory: boolean): ErrorCode | undefined {
  if (!line.limits.waitForEngine && !hasEngine) return 'no_engine'
  if (countQueued(line) >= line.limits.maxQueued) return 'queue_full'
  return hasMemory ? undefined : 'memory_full'
}

/** Whose turn it is. An engine may refuse a large prompt for long and take small ones: it must not keep them all waiting. */
function takeNext(line: Line): Enter {
  const [first, second] = line.wasReturned ? [line.waiting, line.returned] : [line.returned, line.waiting]
  const part = first.size > 0 ? first : second
  const [enter] = part
  if (enter === undefined) throw new Error('nobody waits')
  line.wasReturned = part === line.returned
  part.delete(enter)
  return enter
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
function wait(line: Line, part: Set<Enter>, mostMs: number, waiter: Waiter, pump: (line: Line) => void): Promise<Slot> {
  return new Promise((resolve) => {
    const leave = (slot: Slot) => {
      clearTimeout(timer)
      clearTimeout(pause)
      part.delete(enter)
      line.returned.delete(enter)
      waiter.onStop(undefined)
      resolve(slot)
    }
    const enter = () => leave(new HeldSlot(line, pump))
    const timer = setTimeout(() => leave(refused('queue_timeout')), mostMs)
    const endPause = () => {
      part.delete(enter)
      line.returned.add(enter)
      pump(line)
    }
    const pause = part === line.pausing ? setTimeout(endPause, PAUSE_MS) : undefined
    part.add(enter)
    waiter.onStop((outcome) => leave({ refused: outcome, [Symbol.dispose]() {} }))
  })
}
