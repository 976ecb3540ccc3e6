// What a test may ask the engine about itself: counts since the start, the latest requests, and who left when.
import type { IncomingHttpHeaders } from 'node:http'

/** One request that the engine was asked to generate for. */
export interface SimRequest {
  /** The `x-request-id` that came with it, or else the one that the engine made up. */
  readonly requestId: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** The parsed JSON, or the fields of a form; undefined for a body that is neither or exceeds 1 MiB. */
  readonly body: unknown
  readonly bodyBytes: number
}

/** One client that left before its answer was over. */
export interface SimAbort {
  readonly requestId: string
  /** When the engine noticed, on its clock: by default `performance.now()`. */
  readonly atMs: number
  /** Tokens that were generated for it all the same: at most one a choice, of the step that was under way. */
  tokensAfter: number
}

export interface SimStats {
  readonly running: number
  readonly waiting: number
  readonly usedKvBlocks: number
  /** Requests for a generation, refused ones and faulty ones among them. */
  readonly requests: number
  readonly generatedTokens: number
  /** Clients that left before the end. */
  readonly aborted: number
  readonly tokensAfterAbort: number
  readonly preemptions: number
  readonly openSockets: number
  /** The latest 1000. */
  readonly aborts: readonly Readonly<SimAbort>[]
  /** The latest 50. */
  readonly recent: readonly SimRequest[]
}

const MAX_ABORTS = 1000
const MAX_RECENT = 50
const MAX_BODY_BYTES = 1024 * 1024

/** What the engine writes down; the scheduler knows the rest. */
export interface StatsBook {
  readonly counts: { requests: number; generatedTokens: number; aborted: number; tokensAfterAbort: number }
  readonly aborts: readonly SimAbort[]
  readonly recent: readonly SimRequest[]
  /** @param fields what a form says; JSON is read from the body */
  request(requestId: string, path: string, headers: IncomingHttpHeaders, body: Buffer, fields?: object): void
  /** Returns what later tokens are to be counted on. */
  abort(abort: SimAbort): SimAbort
  generated(tokens: number, abort: SimAbort | undefined): void
}

function readBody(body: Buffer): unknown {
  if (body.length > MAX_BODY_BYTES) return undefined
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

export function createStatsBook(): StatsBook {
  const counts = { requests: 0, generatedTokens: 0, aborted: 0, tokensAfterAbort: 0 }
  const aborts: SimAbort[] = []
  const recent: SimRequest[] = []
  return {
    counts,
    aborts,
    recent,
    request(requestId, path, headers, body, fields) {
      counts.requests += 1
      recent.push({ requestId, path, headers, body: fields ?? readBody(body), bodyBytes: body.length })
      if (recent.length > MAX_RECENT) recent.shift()
    },
    abort(abort) {
      counts.aborted += 1
      aborts.push(abort)
      if (aborts.length > MAX_ABORTS) aborts.shift()
      return abort
    },
    generated(tokens, abort) {
      counts.generatedTokens += tokens
      if (abort === undefined) return
      abort.tokensAfter += tokens
      counts.tokensAfterAbort += tokens
    }
  }
}
