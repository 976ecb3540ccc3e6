// From what a client sent to a frozen Call: checked, capped, and cleaned of what must not go upstream. Pure.
import type { IncomingHttpHeaders } from 'node:http'
import type { Catalog } from '../admission/catalog.ts'
import type { Call, CallBody, Principal } from '../call.ts'
import { HEADERS } from '../contract.ts'
import { ENGINE_ROUTES, type EnginePath, type EngineRoute } from '../engine-routes.ts'
import { GatewayError } from '../errors.ts'
import type { Form } from './form.ts'
import { type JsonBody, type JsonObject, readJsonBody } from './json-body.ts'
import { capOutput, type Fields, type OutputCap } from './output-cap.ts'
import { checkStateless } from './stateless.ts'

/** One request, as far as a call depends on it, without its body. */
export interface Received {
  readonly id: string
  readonly path: EnginePath
  readonly headers: IncomingHttpHeaders
  readonly principal: Principal
  /** The transport streams every answer: the body need not ask for it. @default false */
  readonly streams?: boolean
  /** In ms of the app's monotonic clock. */
  readonly acceptedAtMs: number
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
const ONCE: readonly string[] = [
  'n',
  'best_of',
  'prompt',
  'prompt_embeds',
  'stream_options',
  'previous_response_id',
  'conversation',
  'background'
]

/** Client headers that go upstream: trace context, so that an engine's spans join the client's. */
const FORWARDED = ['traceparent', 'tracestate'] as const

/** Reads and checks what Sluice must know of a request; the rest is for the engine to judge. Throws a `GatewayError`. */
export function toCall(received: Received & { readonly body: Buffer }, options: ToCallOptions): Call {
  const route: EngineRoute = ENGINE_ROUTES[received.path]
  const body = readJsonBody(received.body)
  const asked = readAsked(route, body, received, options)
  const hasStreamOptions = route.api === 'chunks' && asked.stream && options.countUsage
  const usage = hasStreamOptions ? askForUsage(body) : undefined
  const ours: Record<string, unknown> = { model: asked.model }
  if (route.streams) ours.stream = asked.stream
  if (route.api === 'responses') Object.assign(ours, checkStateless(body))
  if (usage !== undefined) ours.stream_options = usage
  for (const name in asked.cap.fields) ours[name] = asked.cap.fields[name]
  return freeze(received, route, asked, { type: 'application/json', bytes: body.with(ours, ONCE) }, usage !== undefined)
}

/** As `toCall`, of a form: one that is not whole yet goes upstream as it comes. */
export function toFormCall(received: Received, form: Form, options: ToCallOptions): Call {
  const route: EngineRoute = ENGINE_ROUTES[received.path]
  const asked = readAsked(route, form, received, options)
  const asksForUsage = form.get('stream_include_usage') === true
  const hidesUsage = asked.stream && options.countUsage && !asksForUsage
  const n = form.get('n')
  const ours = {
    model: asked.model,
    stream: asked.stream,
    ...(n === undefined ? {} : { n }),
    ...(hidesUsage || asksForUsage ? { stream_include_usage: true } : {}),
    // without the field before it an engine ignores this one; with ours it would show usage in every chunk
    ...(hidesUsage ? { stream_continuous_usage_stats: false } : {}),
    ...asked.cap.fields
  }
  return freeze(received, route, asked, form.toBody(ours), hidesUsage)
}

/** What every route's request says, wherever it stands. */
interface Asked {
  readonly model: string
  readonly stream: boolean
  readonly cap: OutputCap
}

function readAsked(
  route: EngineRoute,
  fields: Fields,
  { path, principal, streams = false }: Received,
  { catalog }: ToCallOptions
): Asked {
  const name = readModel(fields)
  const { model } = catalog.get(principal, name)
  if (route.task !== undefined && !model.tasks.includes(route.task)) {
    const message = `The model does not answer on ${path}, which is for models with the task ${route.task}; it has: ${model.tasks.join(', ')}.`
    throw new GatewayError('route_not_supported', { message, param: 'model' })
  }
  const allowed = Math.min(model.maxOutputTokens, principal.maxOutputTokens ?? Number.POSITIVE_INFINITY)
  return { model: name, stream: route.streams && readStream(fields, streams), cap: capOutput(route, fields, allowed) }
}

function freeze(
  { id, path, headers, principal, acceptedAtMs }: Received,
  { operation, api, enginePath = path }: EngineRoute,
  { model, stream, cap }: Asked,
  body: CallBody,
  hidesUsage: boolean
): Call {
  return Object.freeze({
    id,
    path: enginePath,
    operation,
    api,
    model,
    stream,
    headers: pickForwarded(headers),
    principal,
    maxTokens: cap.maxTokens,
    choices: cap.choices,
    places: cap.places,
    wantsTiming: stream && headers[HEADERS.timing] === '1',
    acceptedAtMs,
    body,
    hidesUsage
  })
}

const USAGE_ALONE: JsonObject = Object.freeze({ include_usage: true })

/**
 * `stream_options` that ask for usage; undefined where the client's ask already, or are something that the engine should
 * judge.
 */
function askForUsage(body: JsonBody): JsonObject | undefined {
  const options = body.get('stream_options')
  if (options == null) return USAGE_ALONE
  if (typeof options !== 'object' || Array.isArray(options)) return undefined
  if ((options as JsonObject).include_usage === true) return undefined
  const asked = options as JsonObject
  // without include_usage an engine ignores the other field; with ours it would show usage in every chunk
  const quiet = asked.continuous_usage_stats === true ? { continuous_usage_stats: false } : {}
  return { ...asked, ...quiet, include_usage: true }
}

function readModel(fields: Fields): string {
  const model = fields.get('model')
  if (typeof model === 'string' && model !== '') return model
  throw new GatewayError('invalid_request', { message: 'model must be a string: the name of a model.', param: 'model' })
}

function readStream(fields: Fields, always: boolean): boolean {
  const stream = fields.get('stream') ?? always
  if (stream === false && always) {
    throw new GatewayError('invalid_request', {
      message: 'Every answer is streamed here; leave stream out.',
      param: 'stream'
    })
  }
  if (typeof stream === 'boolean') return stream
  throw new GatewayError('invalid_request', { message: 'stream must be true or false.', param: 'stream' })
}

const NO_HEADERS = Object.freeze({})

/** The headers that go upstream. */
export function pickForwarded(headers: IncomingHttpHeaders): Record<string, string> {
  let picked: Record<string, string> | undefined
  for (const name of FORWARDED) {
    const value = headers[name]
    if (typeof value !== 'string') continue
    picked ??= {}
    picked[name] = value
  }
  return picked ?? NO_HEADERS
}
