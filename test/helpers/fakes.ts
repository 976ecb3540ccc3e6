// Stand-ins for the edges of one request: a call, a reader, an engine. They record, and do what a test tells them to.
import type { Call, EngineControl, EngineHandler, Headers, Sink } from '../../gateway/call.ts'
import type { GatewayError } from '../../gateway/errors.ts'

/** A streamed chat request for one choice, accepted at 0 ms. */
export function fakeCall(more: Partial<Call> = {}): Call {
  return {
    id: 'req_test',
    path: '/v1/chat/completions',
    operation: 'chat',
    api: 'chunks',
    model: 'm',
    stream: true,
    body: { type: 'application/json', bytes: Buffer.from('{"model":"m"}') },
    headers: {},
    principal: { keyId: 'test', maxOutputTokens: undefined, models: 'unrestricted' },
    maxTokens: 100,
    choices: 1,
    places: 1,
    hidesUsage: false,
    wantsTiming: false,
    acceptedAtMs: 0,
    ...more
  }
}

/** A reader in memory. */
export class FakeSink implements Sink {
  status: number | undefined
  headers: Headers = {}
  readonly writes: string[] = []
  ended = false
  failure: GatewayError | undefined
  /** What `write` answers is the opposite. */
  full = false
  left = false
  #onGone: (() => void) | undefined
  #onDrain: (() => void) | undefined

  get gone(): boolean {
    return this.left || this.ended
  }

  flush(): void {}

  get headSent(): boolean {
    return this.status !== undefined
  }

  /** It copies what it is given. */
  get text(): string {
    return this.writes.join('')
  }

  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener
  }

  head(status: number, headers: Headers): void {
    if (this.headSent) throw new Error('a second head')
    this.status = status
    this.headers = headers
  }

  write(bytes: Buffer): boolean {
    this.writes.push(bytes.toString())
    return !this.full
  }

  end(): void {
    this.ended = true
  }

  fail(error: GatewayError): void {
    this.failure = error
  }

  /** The reader leaves. */
  leave(): void {
    this.left = true
    this.#onGone?.()
  }

  /** The reader has taken everything; as in Node, nobody is told once the answer has ended. */
  drain(): void {
    this.full = false
    if (!this.ended) this.#onDrain?.()
  }
}

/** An engine that a test speaks for; as with undici, an abort reports an error before it returns. */
export class FakeEngine implements EngineControl {
  readonly did: ('pause' | 'resume' | 'abort')[] = []
  opened = 0
  paused = false
  /** What happens when the engine is asked: the connection is there at once. */
  onOpen = (handler: EngineHandler): void => handler.onStart(this)
  #handler: EngineHandler | undefined

  readonly open = (handler: EngineHandler): void => {
    this.opened++
    this.#handler = handler
    this.onOpen(handler)
  }

  get handler(): EngineHandler {
    if (this.#handler === undefined) throw new Error('the engine was not asked')
    return this.#handler
  }

  pause(): void {
    this.paused = true
    this.did.push('pause')
  }

  resume(): void {
    this.paused = false
    this.did.push('resume')
  }

  abort(reason: Error): void {
    this.did.push('abort')
    this.handler.onError(reason)
  }

  /** Answers with an event stream. */
  streams(): this {
    this.handler.onHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    return this
  }

  says(...pieces: readonly (string | Buffer)[]): this {
    for (const piece of pieces) {
      this.handler.onData(Buffer.from(piece))
      this.handler.onReadEnd()
    }
    return this
  }
}

/** vLLM's chat chunks, as it frames them. */
const chunk = (choices: unknown[], more: object = {}) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices, ...more })}\n\n`

export const ROLE = (index = 0) =>
  chunk([{ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }])
export const TEXT = (content: string, index = 0, more: object = {}) =>
  chunk([{ index, delta: { content }, logprobs: null, finish_reason: null }], more)
export const FINISH = (reason: string, content = '', index = 0) =>
  chunk([{ index, delta: { content }, logprobs: null, finish_reason: reason, stop_reason: null }])
export const USAGE = (prompt: number, completion: number) =>
  chunk([], { usage: { prompt_tokens: prompt, total_tokens: prompt + completion, completion_tokens: completion } })
export const ERROR_FRAME = (code: number, message: string) =>
  `data: ${JSON.stringify({ error: { message, type: 'InternalServerError', param: null, code } })}\n\n`
export const DONE_EVENT = 'data: [DONE]\n\n'

/** Deterministic numbers from 0 to 1 (mulberry32), so that a fuzz that fails fails again. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
