// Who may go next: at most as many requests at the engines of a pool as they can run at once; the others wait in line, bounded.
import type { Call, Outcome } from '../call.ts'
import { type ErrorCode, GatewayError } from '../errors.ts'
import { Line } from './line.ts'

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
   * The same for a request that had its turn and that no engine took: it stands before those that had none, but for every
   * other turn, which is theirs.
   * @param openMs how long ago it was accepted; it waits for the rest of `queueMs`
   * @param pauses the room that there is may be at engines that turned it away: it stands aside for half a second first
   */
  readmit(call: Pick<Call, 'model'>, waiter: Waiter, openMs: number, pauses: boolean): Slot | Promise<Slot>
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

interface Admission {
  readonly pool: string
  readonly limits: QueueLimits
  /** How many hold a slot. */
  active: number
  readonly line: Line
}

/** Creates the lines of all pools. */
export function createQueue(pools: readonly string[], deps: QueueDeps): Queue {
  const admissions = new Map<string, Admission>()
  for (const pool of pools) admissions.set(pool, { pool, limits: deps.limitsOf(pool), active: 0, line: new Line() })
  // those who hold a slot and are at no engine yet, or between two, have a claim on the room that there is
  const isFree = ({ pool, active }: Admission) => deps.roomOf(pool) > active - deps.inFlightOf(pool)
  // an engine that nobody expects is not waited for
  const canWait = ({ pool, limits }: Admission) => limits.waitForEngine || deps.hasEngine(pool)
  const pump = (admission: Admission) => {
    while (admission.line.ready > 0 && isFree(admission)) admission.line.takeNext()?.()
  }
  return {
    admit(call, waiter) {
      const admission = admissions.get(deps.poolOf(call.model))
      if (admission === undefined) return refused('no_engine')
      if (waiter.stopped !== undefined) return { refused: waiter.stopped, [Symbol.dispose]() {} }
      // asked for each, because each is counted
      const hasMemory = deps.admitsBody(call.body.bytes.length)
      if (admission.line.ready === 0 && isFree(admission)) return new HeldSlot(admission, pump)
      const refusal = findRefusal(admission, canWait(admission), hasMemory)
      if (refusal !== undefined) return refused(refusal)
      return wait(admission, admission.limits.queueMs, waiter, pump, (enter) => admission.line.add(enter))
    },
    readmit(call, waiter, openMs, pauses) {
      const admission = admissions.get(deps.poolOf(call.model))
      if (admission === undefined) return refused('no_engine')
      if (waiter.stopped !== undefined) return { refused: waiter.stopped, [Symbol.dispose]() {} }
      const leftMs = admission.limits.queueMs - openMs
      if (leftMs <= 0) return refused('queue_timeout')
      if (!canWait(admission)) return refused('no_engine')
      if (!pauses && !admission.line.hasReturned && isFree(admission)) return new HeldSlot(admission, pump)
      // it was let in once, and its place may be taken: it waits all the same, where anybody may
      if (admission.limits.maxQueued === 0) return refused('queue_timeout')
      return wait(admission, leftMs, waiter, pump, (enter) =>
        pauses ? admission.line.addLater(enter, () => pump(admission)) : admission.line.addAgain(enter)
      )
    },
    pump() {
      for (const admission of admissions.values()) pump(admission)
    },
    snapshot: () => [...admissions.values()].map(({ pool, line, active }) => ({ pool, queued: line.length, active }))
  }
}

/** Why whoever has to wait may not. */
function findRefusal({ limits, line }: Admission, canWait: boolean, hasMemory: boolean): ErrorCode | undefined {
  if (!canWait) return 'no_engine'
  if (line.length >= limits.maxQueued) return 'queue_full'
  return hasMemory ? undefined : 'memory_full'
}

/** A slot that is taken; giving it back twice counts once. */
class HeldSlot implements Slot {
  readonly refused = undefined
  readonly #admission: Admission
  readonly #pump: (admission: Admission) => void
  #held = true

  constructor(admission: Admission, pump: (admission: Admission) => void) {
    this.#admission = admission
    this.#pump = pump
    admission.active++
  }

  [Symbol.dispose](): void {
    if (!this.#held) return
    this.#held = false
    this.#admission.active--
    this.#pump(this.#admission)
  }
}

function refused(code: ErrorCode): Slot {
  const outcome: Outcome = { kind: 'error', error: new GatewayError(code), engineFault: false, retryable: false }
  return { refused: outcome, [Symbol.dispose]() {} }
}

/**
 * Stands in line until a slot is free, the wait is too long, or the request has ended.
 * @param stand gives it its place
 */
function wait(
  admission: Admission,
  mostMs: number,
  waiter: Waiter,
  pump: (admission: Admission) => void,
  stand: (enter: () => void) => void
): Promise<Slot> {
  return new Promise((resolve) => {
    const leave = (slot: Slot) => {
      clearTimeout(timer)
      admission.line.delete(enter)
      waiter.onStop(undefined)
      resolve(slot)
    }
    const enter = () => leave(new HeldSlot(admission, pump))
    const timer = setTimeout(() => leave(refused('queue_timeout')), mostMs)
    stand(enter)
    waiter.onStop((outcome) => leave({ refused: outcome, [Symbol.dispose]() {} }))
  })
}
