// How the engine misbehaves on purpose: the faults, how a header spells them, and which of them a request meets.
import type { Random } from './random.ts'

/** Before the answer begins. */
type EarlyFault =
  /** Refuses with this status and vLLM's error body. */
  | { readonly kind: 'status'; readonly status: number }
  /** Sends the head so much later. */
  | { readonly kind: 'slow-head'; readonly ms: number }
  /** The engine process has died behind its HTTP server: 503 for health, 500 for everything else. */
  | { readonly kind: 'engine-dead' }

/** Once `afterTokens` tokens of the answer have been generated, all choices together. */
export type StreamFault = {
  readonly afterTokens: number
} & (
  | {
      /** Says nothing any more, or nothing for `ms`; the socket stays open. */
      readonly kind: 'stall'
      readonly ms?: number
    }
  | {
      readonly kind:
        | /** Resets the connection; with 0 before the head. */ 'reset'
        | /** Sends one event whose data is not JSON, and goes on; an answer in one piece is cut JSON. */ 'malformed'
        | /** vLLM's error event and `[DONE]`; a 500 for an answer in one piece. */ 'error-frame'
        | /** The finish reason `abort`, as an engine that is shut down. */ 'abort'
        | /** Ends the body cleanly without a finish reason and without `[DONE]`; one piece: closes it half way. */ 'truncate'
        | /** `[DONE]` without any finish reason; one piece: no choices. */ 'unfinished'
    }
)

/** One fault, and how often a request meets it: always, unless said otherwise. */
export type Fault = (EarlyFault | StreamFault) & {
  /** The part of the requests that meet it, 0 to 1. */
  readonly probability?: number
  /** The first so many requests meet it, no later one. */
  readonly times?: number
}

const STREAM_KINDS = ['stall', 'reset', 'malformed', 'error-frame', 'abort', 'truncate', 'unfinished'] as const

export const isStreamFault = (fault: Fault): fault is Extract<Fault, StreamFault> =>
  (STREAM_KINDS as readonly string[]).includes(fault.kind)

/** What one request meets. */
export interface FaultPlan {
  readonly status?: number
  readonly headDelayMs: number
  readonly isDead: boolean
  /** In the order in which they come. */
  readonly stream: readonly StreamFault[]
}

/** The request header that carries faults for one request. */
export const FAULT_HEADER = 'x-sluice-sim-fault'

const readNumber = (text: string | undefined, otherwise: number | undefined): number | undefined => {
  const value = text === undefined || text === '' ? otherwise : Number(text)
  return value !== undefined && Number.isInteger(value) && value >= 0 ? value : undefined
}

function parseFault(text: string): Fault | undefined {
  const [name, first, second] = text.split(':').map((part) => part.trim())
  if (name === 'engine-dead') return { kind: name }
  if (name === 'status') {
    const status = readNumber(first, 503)
    return status !== undefined && status >= 400 && status <= 599 ? { kind: name, status } : undefined
  }
  if (name === 'slow-head') {
    const ms = readNumber(first, undefined)
    return ms === undefined ? undefined : { kind: name, ms }
  }
  const kind = STREAM_KINDS.find((known) => known === name)
  const afterTokens = readNumber(first, 0)
  if (kind === undefined || afterTokens === undefined) return undefined
  if (kind !== 'stall') return { kind, afterTokens }
  const ms = readNumber(second, undefined)
  return { kind, afterTokens, ...(ms !== undefined && { ms }) }
}

/**
 * Reads `name[:number[:number]]`, several separated by commas: `slow-head:50, stall:4:200`.
 *
 * @throws RangeError that names the part which is no fault
 */
export function parseFaults(header: string): Fault[] {
  const parts = header.split(',').filter((part) => part.trim() !== '')
  return parts.map((part) => {
    const fault = parseFault(part)
    if (fault === undefined) throw new RangeError(`no such fault: ${part.trim()}`)
    return fault
  })
}

export interface FaultBox {
  set(faults: readonly Fault[]): void
  /** True while the engine plays dead, whatever the request. */
  readonly isDead: boolean
  /** Picks what a request meets of the configured faults and of those that it brings along. */
  plan(brought: readonly Fault[]): FaultPlan
}

export function createFaultBox(initial: readonly Fault[], random: Random): FaultBox {
  let configured: { fault: Fault; left: number }[] = []
  const meets = (entry: { fault: Fault; left: number }) => {
    if (entry.left <= 0 || random() >= (entry.fault.probability ?? 1)) return false
    entry.left -= 1
    return true
  }
  const box: FaultBox = {
    set(faults) {
      configured = faults.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }))
    },
    get isDead() {
      return configured.some(({ fault, left }) => fault.kind === 'engine-dead' && left > 0)
    },
    plan(brought) {
      const met = [...configured.filter(meets).map(({ fault }) => fault), ...brought]
      const status = met.find((fault) => fault.kind === 'status')
      return {
        ...(status && { status: status.status }),
        headDelayMs: met.reduce((sum, fault) => sum + (fault.kind === 'slow-head' ? fault.ms : 0), 0),
        isDead: met.some(({ kind }) => kind === 'engine-dead'),
        stream: met.filter(isStreamFault).sort((a, b) => a.afterTokens - b.afterTokens)
      }
    }
  }
  box.set(initial)
  return box
}
