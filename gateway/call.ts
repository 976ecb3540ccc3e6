// The nouns of one request, types only: Call what was asked, Sink where bytes go, Lease which engine, Outcome how it ended.
import type { Readable } from 'node:stream'
import type { Api } from './engine-routes.ts'
import type { GatewayError } from './errors.ts'

/** Who asks: one API key. */
export interface Principal {
  /** The key's public name, safe for logs. */
  readonly keyId: string
  /** The most output tokens that this key may ask for in one request; undefined leaves it to the model. */
  readonly maxOutputTokens: number | undefined
  /** The models that the key may use: every unrestricted one, or these by name. */
  readonly models: 'unrestricted' | readonly string[]
}

/** What was asked, parsed once and frozen. `body` already carries the output cap. */
export interface Call {
  /** The request id: header `x-request-id` both ways, and the log's `requestId`. */
  readonly id: string
  /** The engine's path. */
  readonly path: string
  /** OpenTelemetry's `gen_ai.operation.name`. */
  readonly operation: string
  /** Whose shapes the answer has. */
  readonly api: Api
  readonly model: string
  readonly stream: boolean
  readonly body: CallBody
  /** The few client headers that may go upstream; never a credential. */
  readonly headers: Readonly<Record<string, string>>
  readonly principal: Principal
  /** The applied cap on output tokens of one choice; undefined where nothing is generated. */
  readonly maxTokens: number | undefined
  /** How many answers the request generates: `n` times the number of prompts. */
  readonly choices: number
  /** How many requests it is to the engine, which counts each answer that it generates and each input that it computes. */
  readonly places: number
  /** The client did not ask for the usage that Sluice asked the engine for: its chunk goes no further. */
  readonly hidesUsage: boolean
  /** The client wants a last comment with the figures of its stream. */
  readonly wantsTiming: boolean
  /** When the request was accepted, in ms of the app's monotonic clock. */
  readonly acceptedAtMs: number
}

/** What an engine gets. */
export interface CallBody {
  /** Its `Content-Type`. */
  readonly type: string
  /**
   * JSON, byte for byte the client's but for the fields that Sluice sets; or a form, written anew. It is let go once an
   * answer has begun, for no engine will be asked again then: a long prompt need not be held for as long as its answer takes.
   */
  bytes: Buffer
  /** What follows `bytes`, as the client sends it. Once an engine has had any of it no other one can be asked. */
  readonly rest?: Readable
}

/** Response headers by lower-case name. */
export type Headers = Readonly<Record<string, string>>

/** Where the bytes of an answer go: an HTTP response, messages of a WebSocket, or a journal. */
export interface Sink {
  /** The reader has left, or everything has been sent: nothing can be written any more. */
  readonly gone: boolean
  readonly headSent: boolean
  /** Calls `listener` once when the reader leaves before the end. Replaces an earlier listener. */
  onGone(listener: () => void): void
  /** Calls `listener` each time that a full sink has emptied. Replaces an earlier listener. */
  onDrain(listener: () => void): void
  head(status: number, headers: Headers): void
  /**
   * Sends bytes; false asks the caller to pause its source until `onDrain`. The bytes are lent until it returns: a sink
   * that can't be rid of them by then keeps a copy.
   */
  write(bytes: Buffer): boolean
  /** Sends bytes that are HTTP/1.1 chunks already, as `write` does; undefined where a sink can't pass them on as they are. */
  readonly writeFrames?: ((frames: Buffer) => boolean) | undefined
  /** Gathers what is written from now on, until `flush`, `end` or the end of the tick; a sink without it sends each write. */
  hold?(): void
  /** Sends now what a sink has gathered in this tick to send it at once; without it that goes out when the tick ends. */
  flush(): void
  end(): void
  /**
   * Ends with an error: a status and JSON before the head, an error event after it in an event stream.
   *
   * @param sequence how many events of the answer have gone before, for an API that numbers them
   */
  fail(error: GatewayError, sequence: number): void
}

/** One engine that requests can be sent to. */
export interface Endpoint {
  /** `host:port`, unique among the pools; bounded, so it may be a metric label. */
  readonly id: string
  /** Scheme, host and port, without a path. */
  readonly origin: string
  readonly pool: string
  /** The bearer token that the engine itself expects, if any. */
  readonly engineKey: string | undefined
}

/** The right to use one engine until disposed, whatever happened. */
export interface Lease extends Disposable {
  readonly endpoint: Endpoint
  /** Tells how the engine did; a client that left says nothing. */
  report(result: 'ok' | 'failed'): void
  /** Tells that the engine refused the call as too many, which takes so many places there. */
  reportFull(places: number): void
}

/** How one request ended. `error` says whose it was and whether another engine may be tried. */
export type Outcome =
  | { readonly kind: 'complete' }
  | { readonly kind: 'client_gone' }
  | {
      readonly kind: 'error'
      readonly error: GatewayError
      /** True when the engine is to blame: it counts against its breaker. */
      readonly engineFault: boolean
      /** True while no byte of an answer has gone to the client and another engine may do better. */
      readonly retryable: boolean
    }

/** The hold on a running exchange with an engine. */
export interface EngineControl {
  pause(): void
  resume(): void
  /** Closes the engine's socket at once, so that the engine stops generating. */
  abort(reason: Error): void
}

/** What an engine client tells about one exchange, in this order; nothing follows `onEnd` or `onError`. */
export interface EngineHandler {
  onStart(control: EngineControl): void
  onHead(status: number, headers: Headers): void
  /**
   * Payload in `bytes` from `start` to `end`, all of `bytes` by default. Where it is exactly one HTTP/1.1 chunk, that
   * chunk stands from `frameStart` to `frameEnd`.
   */
  onData(bytes: Buffer, start?: number, end?: number, frameStart?: number, frameEnd?: number): void
  /** Everything of one read has been told; its bytes were lent until now. */
  onReadEnd(): void
  onEnd(): void
  onError(cause: Error): void
}

/** What is known of a request once it has ended: the source of its metrics and of its log line. Times in ms. */
export interface RequestRecord {
  readonly call: Call
  readonly outcome: Outcome
  /** The engine that was asked last; undefined when none was. */
  readonly endpoint: string | undefined
  /** How often an engine was asked; the same one may be asked again once it has room. */
  readonly attempts: number
  /** From acceptance until an engine was free, the last time that it had to wait for one. */
  readonly queuedMs: number
  /** From acceptance until the first output; undefined without a streamed token. */
  readonly ttftMs: number | undefined
  /** Mean time between output tokens; undefined below two streamed tokens. */
  readonly interTokenMs: number | undefined
  readonly durationMs: number
  /** As the engine counted; undefined where it did not. */
  readonly promptTokens: number | undefined
  /** As the engine counted, or else the number of output events that were relayed. */
  readonly outputTokens: number
}
