// Reads an engine's refusal and decides whose fault it is: what the client may read, and whether another engine may help.
import type { Headers, Outcome } from '../call.ts'
import { GatewayError } from '../errors.ts'
import { type AnswerRelay, engineFailed } from './answer-relay.ts'

/** More of an error body than this is not read. */
const MAX_REFUSAL_BYTES = 65_536
/** More of an engine's sentence than this is not shown. */
const MAX_MESSAGE_CHARS = 2_000

/** Statuses with which an engine blames the request; its words tell the client what to mend. */
const CLIENT_FAULTS = new Set([400, 409, 413, 415, 422])
/**
 * Statuses after which another engine may do better: it isn't there, it is behind a proxy that lost it, or it has not had the
 * whole request, which is what a proxy may say of a connection that was idle for too long (RFC 9110, 15.5.9).
 */
const RETRY_ELSEWHERE = new Set([401, 403, 404, 408, 502, 504])

/** Takes in the body of an answer whose status is not 200. */
export class RefusalReader implements AnswerRelay {
  readonly #status: number
  readonly #retryAfterMs: number | undefined
  #body = Buffer.alloc(0)

  constructor(status: number, headers: Headers) {
    this.#status = status
    const seconds = Number(headers['retry-after'])
    this.#retryAfterMs = seconds > 0 && seconds <= 3600 ? seconds * 1000 : undefined
  }

  data(bytes: Buffer, start: number, end: number): Outcome | undefined {
    this.#body = Buffer.concat([this.#body, bytes.subarray(start, end)])
    return this.#body.length > MAX_REFUSAL_BYTES ? this.end() : undefined
  }

  end(): Outcome {
    const { message, param } = readErrorBody(this.#body)
    if (isMissingRoute(this.#status, message)) return lacksRoute(message)
    return mapEngineError(this.#status, message, true, { param, retryAfterMs: this.#retryAfterMs })
  }

  lost(): Outcome {
    return this.end()
  }
}

/**
 * Whether an engine has no such route, or none for its model: FastAPI's own 404, and vLLM's word for what a model can't do.
 * Another engine of the pool has none either, and this one is no worse for it: counted as its failures, a few requests
 * for a wrong route would take it from everybody.
 */
function isMissingRoute(status: number, message: string): boolean {
  return status === 501 || (status === 404 && message === 'Not Found')
}

function lacksRoute(message: string): Outcome {
  const cause = new Error(`the engine has no such route: ${message.slice(0, MAX_MESSAGE_CHARS)}`)
  const error = new GatewayError('route_not_supported', { param: 'model', cause })
  return { kind: 'error', error, engineFault: false, retryable: false }
}

/**
 * The outcome of an error that an engine answered with. A 4xx about the request keeps its status and words; a full
 * engine is `engine_overloaded`; of everything else the log gets the status, and nobody the text.
 */
export function mapEngineError(
  status: number,
  message: string,
  nothingSent: boolean,
  more: { param?: string | undefined; retryAfterMs?: number | undefined } = {}
): Outcome {
  if (CLIENT_FAULTS.has(status)) {
    const said = message === '' ? {} : { message: message.slice(0, MAX_MESSAGE_CHARS) }
    const at = more.param === undefined ? {} : { param: more.param }
    const error = new GatewayError('engine_refused', { status, ...said, ...at })
    return { kind: 'error', error, engineFault: false, retryable: false }
  }
  if (status === 429 || status === 503) {
    const after = more.retryAfterMs === undefined ? {} : { retryAfterMs: more.retryAfterMs }
    const error = new GatewayError('engine_overloaded', { ...after, cause: new Error(`the engine answered ${status}`) })
    return { kind: 'error', error, engineFault: false, retryable: nothingSent }
  }
  // its words stay unsaid in the log, too: engines quote prompts in them, and their own log has the request's id
  return engineFailed(`the engine answered ${status}`, nothingSent && RETRY_ELSEWHERE.has(status))
}

/** The sentence and field of an error body: OpenAI's shape, FastAPI's `detail`, or nothing. */
function readErrorBody(body: Buffer): { message: string; param: string | undefined } {
  try {
    const parsed = JSON.parse(body.toString())
    const error = parsed?.error ?? parsed
    const message = typeof error === 'string' ? error : (error?.message ?? parsed?.detail ?? '')
    return {
      message: typeof message === 'string' ? message : JSON.stringify(message),
      param: typeof error?.param === 'string' ? error.param : undefined
    }
  } catch {
    return { message: '', param: undefined }
  }
}
