// From what a client sent to a frozen Call: checked, capped, and cleaned of what must not go upstream. Pure.
import type { IncomingHttpHeaders } from 'node:http'
import type { Catalog } from '../admission/catalog.ts'
import type { Call, Principal } from '../call.ts'
import { ENGINE_PATHS, type EnginePath, HEADERS } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import { type JsonBody, type JsonObject, readJsonBody } from './json-body.ts'
import { capOutput } from './output-cap.ts'

/** One request, as far as a call depends on it. */
export interface Received {
  readonly id: string
  readonly path: EnginePath
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly principal: Principal
  /** In ms of the app's monotonic clock. */
  readonly acceptedAtMs: number
  /** The answer is streamed in any case: `stream` need not be said. */
  readonly streams?: boolean
}

export interface ToCallOptions {
  readonly catalog: Catalog
  /** Asks engines for the usage of every stream. */
  readonly countUsage: boolean
}

/**
 * Fields that decide about limits and are not set here. They go upstream once, as they were read, however often and
 * however they were spelt.
 */
const ONCE: ReadonlySet<string> = new Set(['n', 'best_of', 'prompt', 'prompt_embeds', 'stream_options'])

/** Client headers that go upstream: trace context, so that an engine's spans join the client's. */
const FORWARDED = ['traceparent', 'tracestate'] as const

/** Reads and checks what Sluice must know of a request; the rest is for the engine to judge. Throws a `GatewayError`. */
export function toCall(received: Received, { catalog, countUsage }: ToCallOptions): Call {
  const { id, path, headers, principal, acceptedAtMs } = received
  const body = readJsonBody(received.body)
  const name = readModel(body)
  const model = catalog.find(principal, name)?.model
  if (model === undefined) throw new GatewayError('model_not_found', { param: 'model' })
  const stream = received.streams === true ? mustStream(body) : readStream(body)
  const usage = stream && countUsage ? askForUsage(body) : undefined
  const allowed = Math.min(model.maxOutputTokens, principal.maxOutputTokens ?? Number.POSITIVE_INFINITY)
  const { maxTokens, choices, fields } = capOutput(path, body, allowed)
  return Object.freeze({
    id,
    path,
    operation: ENGINE_PATHS[path],
    model: name,
    stream,
    body: { bytes: body.with({ model: name, stream, ...usage, ...fields }, ONCE) },
    headers: pickForwarded(headers),
    principal,
    maxTokens,
    choices,
    hidesUsage: usage !== undefined,
    wantsTiming: stream && headers[HEADERS.timing] === '1',
    acceptedAtMs
  })
}

/**
 * `stream_options` that ask for usage; undefined where the client's ask already, or are something that the engine should
 * judge.
 */
function askForUsage(body: JsonBody): JsonObject | undefined {
  const options = body.get('stream_options') ?? {}
  if (typeof options !== 'object' || Array.isArray(options)) return undefined
  if ((options as JsonObject).include_usage === true) return undefined
  const asked = options as JsonObject
  // without include_usage an engine ignores the other field; with ours it would show usage in every chunk
  const quiet = asked.continuous_usage_stats === true ? { continuous_usage_stats: false } : {}
  return { stream_options: { ...asked, ...quiet, include_usage: true } }
}

function readModel(body: JsonBody): string {
  const model = body.get('model')
  if (typeof model === 'string' && model !== '') return model
  throw new GatewayError('invalid_request', { message: 'model must be a string: the name of a model.', param: 'model' })
}

function readStream(body: JsonBody): boolean {
  const stream = body.get('stream') ?? false
  if (typeof stream === 'boolean') return stream
  throw new GatewayError('invalid_request', { message: 'stream must be true or false.', param: 'stream' })
}

function mustStream(body: JsonBody): true {
  if (body.get('stream') === undefined || readStream(body)) return true
  throw new GatewayError('invalid_request', { message: 'stream must be true, or left out.', param: 'stream' })
}

function pickForwarded(headers: IncomingHttpHeaders): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of FORWARDED) {
    const value = headers[name]
    if (typeof value === 'string') picked[name] = value
  }
  return picked
}
