// One request for a generation, from its body until it is handed to the scheduler or refused.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAnswer } from './answers.ts'
import { compute, isComputedPath } from './computed.ts'
import { FAULT_HEADER, type FaultBox, type FaultPlan, parseFaults } from './faults.ts'
import { Generation } from './generation.ts'
import type { EngineMetrics } from './metrics.ts'
import type { Settings } from './options.ts'
import { VLLM_VERSION } from './pages.ts'
import { type Random, randomHex } from './random.ts'
import { Refusal, refusalBody } from './refusal.ts'
import { type GenerationRequest, type RequestKind, readRequest, readUploadRequest } from './request.ts'
import type { Scheduler } from './scheduler.ts'
import type { StatsBook } from './stats.ts'
import { readUpload, type Upload } from './upload.ts'
import type { Vocabulary } from './vocabulary.ts'
import { createWire, type Wire } from './wire.ts'

/** What every visit shares. */
export interface VisitDeps {
  readonly settings: Settings
  readonly scheduler: Scheduler
  readonly book: StatsBook
  readonly metrics: EngineMetrics
  readonly faults: FaultBox
  readonly clock: () => number
  readonly now: () => number
  readonly random: Random
  readonly fingerprint: string
  readonly vocabulary: Vocabulary
  /** The engine takes nothing new: it answers with the finish reason `abort`. */
  isDraining(): boolean
}

export interface Visit {
  /** Ends the generation as a shutdown does. */
  abort(): void
  /** Forgets the generation. */
  drop(): void
}

const ROUTES: Record<string, RequestKind> = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'completion',
  '/v1/responses': 'response',
  '/v1/messages': 'message',
  '/v1/audio/transcriptions': 'transcription',
  '/v1/audio/translations': 'translation'
}

/** True for the routes that generate or compute. */
export const isWorkPath = (path: string): boolean => Object.hasOwn(ROUTES, path) || isComputedPath(path)

/** vLLM has no limit; this one only keeps a mistake from filling the memory. */
const MAX_BODY_BYTES = 64 * 1024 * 1024

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes <= MAX_BODY_BYTES) pieces.push(piece)
  }
  if (bytes > MAX_BODY_BYTES) throw new Refusal(413, 'The body is too large.')
  return Buffer.concat(pieces)
}

function planFaults(incoming: IncomingMessage, faults: FaultBox): FaultPlan {
  try {
    return faults.plan(parseFaults(String(incoming.headers[FAULT_HEADER] ?? '')))
  } catch (cause) {
    throw new Refusal(400, (cause as Error).message, FAULT_HEADER)
  }
}

/** The refusals that a fault makes. */
function refuseByFault({ isDead, status }: FaultPlan): void {
  if (isDead) throw new Refusal(500, 'EngineCore encountered an issue. See stack trace (above) for the root cause.')
  if (status !== undefined) throw new Refusal(status, `Simulated refusal with status ${status}.`)
}

function refuseWhenFull({ scheduler, settings }: VisitDeps, request: GenerationRequest): void {
  const queued = scheduler.running + scheduler.waiting
  const asked = request.n * request.prompts.length
  if (queued + asked <= settings.maxQueuedRequests) return
  throw new Refusal(503, `Request queue is full: ${queued} requests are in flight. Please try again later.`)
}

/** vLLM's fingerprint of a release and a configuration. */
export const createFingerprint = (random: Random): string => `vllm-${VLLM_VERSION}-${randomHex(8, random)}`

interface Opened {
  readonly requestId: string
  readonly request: GenerationRequest
  readonly plan: FaultPlan
  readonly wire: Wire
}

function begin({ requestId, request, plan, wire }: Opened, deps: VisitDeps): Generation {
  const answer = createAnswer(requestId, request, wire, deps)
  const { scheduler, book, clock, metrics, settings } = deps
  const generation = new Generation(
    { requestId, request, answer, wire, faults: plan.stream, seed: settings.seed },
    { scheduler, book, clock, onEngineAbort: () => metrics.engineAbort() }
  )
  if (plan.stream[0]?.kind === 'reset' && plan.stream[0].afterTokens === 0) {
    wire.reset()
    return generation
  }
  if (request.stream) {
    wire.openStream()
    answer.open?.()
  }
  if (deps.isDraining()) generation.abort()
  else generation.start()
  return generation
}

/** Reads, plans, refuses or begins; what is thrown is a refusal or the client's leaving. */
async function serve(visit: OpenVisit, incoming: IncomingMessage, path: string, deps: VisitDeps): Promise<void> {
  const body = await readBody(incoming)
  const type = incoming.headers['content-type'] ?? ''
  const upload = type.startsWith('multipart/form-data') ? await readUpload(body, type) : undefined
  deps.book.request(visit.requestId, path, incoming.headers, body, upload?.fields)
  visit.isAsked = true
  if (visit.wire.over) return leave(visit, deps)
  const plan = planFaults(incoming, deps.faults)
  refuseByFault(plan)
  if (isComputedPath(path)) return answerAtOnce(visit, body, path, deps)
  const request = readWork(path, body, upload, deps)
  refuseWhenFull(deps, request)
  if (plan.headDelayMs > 0) await sleep(plan.headDelayMs, undefined, { signal: visit.gone.signal })
  visit.generation = begin({ requestId: visit.requestId, request, plan, wire: visit.wire }, deps)
}

function readWork(path: string, body: Buffer, upload: Upload | undefined, { settings }: VisitDeps): GenerationRequest {
  const kind = ROUTES[path] ?? 'chat'
  return upload === undefined ? readRequest(kind, body, settings) : readUploadRequest(kind, upload, settings)
}

function answerAtOnce({ requestId, wire }: OpenVisit, body: Buffer, path: string, deps: VisitDeps): void {
  const { settings: limits, vocabulary, now } = deps
  const answer = compute(path, body, { limits, vocabulary, requestId, created: Math.floor(now() / 1000) })
  wire.answer(200, JSON.stringify(answer))
}

interface OpenVisit {
  readonly requestId: string
  readonly wire: Wire
  readonly gone: AbortController
  isAsked: boolean
  generation: Generation | undefined
}

/** The client has left before its answer was over. */
function leave({ requestId, generation, isAsked }: OpenVisit, deps: VisitDeps): void {
  if (generation !== undefined) generation.leave()
  else if (isAsked) deps.book.abort({ requestId, atMs: deps.clock(), tokensAfter: 0 })
}

/** What stays of a visit when the engine itself closes the socket: nobody has left. */
function forget(visit: OpenVisit): void {
  visit.generation?.drop()
  visit.generation = undefined
  visit.isAsked = false
}

/** Serves one request; `visits` holds it as long as its response is open. */
export async function receive(
  incoming: IncomingMessage,
  response: ServerResponse,
  path: string,
  visits: Set<Visit>,
  deps: VisitDeps
): Promise<void> {
  const requestId = String(incoming.headers['x-request-id'] ?? randomHex(16, deps.random))
  const gone = new AbortController()
  const onGone = () => {
    gone.abort()
    leave(visit, deps)
  }
  const listener = { onDrain: () => deps.scheduler.wake(), onGone }
  const wire = createWire(response, { listener, keepAliveMs: deps.settings.sseKeepAliveMs })
  const visit: OpenVisit = { requestId, wire, gone, isAsked: false, generation: undefined }
  const held: Visit = { abort: () => visit.generation?.abort(), drop: () => forget(visit) }
  visits.add(held)
  response.once('close', () => visits.delete(held))
  try {
    await serve(visit, incoming, path, deps)
  } catch (cause) {
    const refusal = cause instanceof Refusal ? cause : new Refusal(500, String(cause))
    wire.answer(refusal.status, refusalBody(refusal))
  }
}
