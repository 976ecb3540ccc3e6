// An answer on its way out: event by event as a stream, or collected and sent in one piece.
import { countUsage, type Frames, type Usage } from './frames.ts'
import type { FinishReason, Output, ScoredToken } from './output.ts'
import { errorEventData, refusalBody } from './refusal.ts'
import type { GenerationRequest } from './request.ts'
import type { Wire } from './wire.ts'

/** Takes what the choices of one request put out. Each way to end may be taken once. */
export interface Answer {
  /** The head of a stream has gone: sends what comes before any output. */
  open?(): void
  take(index: number, output: Output): void
  /** Every choice has ended. */
  end(): void
  /** Ends with an error of the engine. */
  fail(): void
  /** Sends something that is no JSON; true when the answer is over with that. */
  spoil(): boolean
  /** Ends the body before the answer is over. */
  truncate(): void
  /** Ends as if all were well, though no choice has a finish reason. */
  endUnfinished(): void
}

export interface AnswerParts {
  readonly request: GenerationRequest
  readonly frames: Frames
  readonly wire: Wire
}

const ENGINE_ERROR = 'Internal server error'
const DONE = 'data: [DONE]\n\n'

const sumPrompts = ({ prompts }: GenerationRequest) => prompts.reduce((sum, { tokens }) => sum + tokens.length, 0)

/** The usage that stands on the chunks of one choice, if any is asked for there. */
function countChoice(request: GenerationRequest, index: number, tokens: number): Usage | undefined {
  if (!request.continuousUsage) return undefined
  return countUsage(request.prompts[Math.floor(index / request.n)]?.tokens.length ?? 0, tokens)
}

function endStream(wire: Wire): void {
  wire.write(DONE)
  wire.end()
}

/** One event a token and choice, in vLLM's order: opening chunks, chunks, usage, `[DONE]`. */
export function createStreamAnswer({ request, frames, wire }: AnswerParts): Answer {
  const counts = request.prompts.flatMap(() => Array<number>(request.n).fill(0))
  const promptTokens = sumPrompts(request)
  let isOpened = false
  const send = (chunk: object) => wire.write(`data: ${JSON.stringify(chunk)}\n\n`)
  const usageOf = (index: number) => countChoice(request, index, counts[index] ?? 0)
  const open = () => {
    isOpened = true
    for (const index of counts.keys()) {
      const chunk = frames.opening(index, usageOf(index))
      if (chunk !== undefined) send(chunk)
    }
  }
  return {
    take(index, output) {
      if (!isOpened) open()
      counts[index] = (counts[index] ?? 0) + output.tokens
      send(frames.chunk(index, output, usageOf(index), output.finishReason !== null && !request.includeUsage))
    },
    end() {
      const completionTokens = counts.reduce((sum, count) => sum + count, 0)
      if (request.includeUsage) send(frames.usage(countUsage(promptTokens, completionTokens)))
      endStream(wire)
    },
    fail() {
      wire.write(`data: ${errorEventData(ENGINE_ERROR)}\n\n`)
      endStream(wire)
    },
    spoil() {
      wire.write('data: {"choices":[{"index":0,"delta":{"content":" an event that is cut\n\n')
      return false
    },
    truncate: () => wire.end(),
    endUnfinished() {
      if (!isOpened) open()
      endStream(wire)
    }
  }
}

interface Collected {
  text: string
  scored: ScoredToken[] | undefined
  tokens: number
  finishReason: FinishReason
  stopReason: string | null
}

/** What an answer in one piece needs of its frames. */
export type WholeParts = Omit<AnswerParts, 'frames'> & { readonly frames: Pick<Frames, 'whole'> }

/** One JSON body after the last token. */
export function createWholeAnswer({ request, frames, wire }: WholeParts): Answer {
  const choices = request.prompts.flatMap(() =>
    Array.from({ length: request.n }, (): Collected => {
      const scored = request.logprobs === undefined ? undefined : []
      return { text: '', scored, tokens: 0, finishReason: 'stop', stopReason: null }
    })
  )
  const write = (shown: readonly Collected[]) => {
    const completionTokens = choices.reduce((sum, { tokens }) => sum + tokens, 0)
    return JSON.stringify(frames.whole(shown, countUsage(sumPrompts(request), completionTokens)))
  }
  return {
    take(index, output) {
      const choice = choices[index]
      if (choice === undefined) return
      choice.text += output.text
      choice.tokens += output.tokens
      if (output.scored !== undefined) choice.scored?.push(output.scored)
      if (output.finishReason === null) return
      choice.finishReason = output.finishReason
      choice.stopReason = output.stopReason
    },
    end: () => wire.answer(200, write(choices)),
    fail: () => wire.answer(500, refusalBody({ status: 500, message: ENGINE_ERROR, param: null })),
    spoil() {
      wire.answer(200, write(choices).slice(0, -10))
      return true
    },
    truncate: () => wire.answerHalf(write(choices)),
    endUnfinished: () => wire.answer(200, write([]))
  }
}
