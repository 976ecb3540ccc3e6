// Chooses how one request is answered: the words of its API, as a stream or in one piece.
import { type Answer, createStreamAnswer, createWholeAnswer } from './answer.ts'
import { createChatFrames } from './chat-frames.ts'
import { createCompletionFrames } from './completion-frames.ts'
import type { AnswerHead, Frames } from './frames.ts'
import { createMessageFrames } from './message-frames.ts'
import { createNamedStreamAnswer, type NamedFrames } from './named-answer.ts'
import type { GenerationRequest } from './request.ts'
import { ResponseFrames } from './response-frames.ts'
import { createTranscriptionFrames } from './transcription-frames.ts'
import type { Wire } from './wire.ts'

export interface AnswerDeps {
  readonly now: () => number
  readonly fingerprint: string
}

/** The answer to `request`, on its way out by `wire`. */
export function createAnswer(requestId: string, request: GenerationRequest, wire: Wire, deps: AnswerDeps): Answer {
  const head = { created: Math.floor(deps.now() / 1000), model: request.model, fingerprint: deps.fingerprint }
  const named = createNamedFrames(requestId, request, head)
  if (named !== undefined) {
    const parts = { request, wire, frames: named }
    return request.stream ? createNamedStreamAnswer(parts) : createWholeAnswer(parts)
  }
  const parts = { request, wire, frames: createFrames(requestId, request, head) }
  return request.stream ? createStreamAnswer(parts) : createWholeAnswer(parts)
}

function createFrames(requestId: string, request: GenerationRequest, head: Omit<AnswerHead, 'id'>): Frames {
  const { kind, prompts, n, echo } = request
  if (kind === 'chat') return createChatFrames({ id: `chatcmpl-${requestId}`, ...head })
  if (kind === 'transcription' || kind === 'translation') {
    const seconds = Math.ceil((prompts[0]?.tokens.length ?? 0) / 10)
    return createTranscriptionFrames({ id: `trsc-${requestId}`, ...head }, kind, seconds)
  }
  const prefixes = prompts.flatMap(({ text }) => Array<string>(n).fill(echo ? text : ''))
  return createCompletionFrames({ id: `cmpl-${requestId}`, ...head }, prefixes)
}

function createNamedFrames(
  requestId: string,
  { kind }: GenerationRequest,
  head: Omit<AnswerHead, 'id'>
): NamedFrames | undefined {
  if (kind === 'response') return new ResponseFrames({ id: `resp_${requestId}`, ...head })
  if (kind === 'message') return createMessageFrames({ id: `chatcmpl-${requestId}`, ...head })
  return undefined
}
