// Writes one choice of an answer token by token, and knows when it ends: its own end, a stop string or the cap.
import type { Output, ScoredToken } from './output.ts'
import { createProse, findTopics } from './prose.ts'
import { createRandom, type Random } from './random.ts'
import type { GenerationRequest } from './request.ts'
import type { Prompt } from './request-body.ts'
import { createStopCutter } from './stop-cutter.ts'
import { END_OF_TEXT } from './tokens.ts'

export interface Choice {
  /** The next step's output; not to be called after one that has a finish reason. */
  next(): Output
}

const OTHER_TOKENS =
  ' the, of, and, a, to, in, that, is, it, for, with, as, on, but, at, by, from, or, this, which'.split(',')

/** Makes up plausible log probabilities: the token itself is the likeliest, the rest share what is left. */
function score(text: string, count: number, random: Random): ScoredToken {
  const logprob = -random() * 0.7
  const others = OTHER_TOKENS.filter((other) => other !== text)
  const top = Array.from({ length: count }, (_, rank) => {
    if (rank === 0) return [text, logprob] as const
    return [others[rank - 1] ?? `<|${rank}|>`, logprob - rank - random()] as const
  })
  return { text, logprob, top }
}

/**
 * @param seed the engine's: the same request gets the same answer from it each time, as at temperature 0. A `seed` in the
 *   request takes its place, so that every engine answers alike.
 */
export function createChoice(request: GenerationRequest, prompt: Prompt, index: number, seed: number): Choice {
  const seeds = [
    request.seed === undefined ? `engine ${seed}` : `request ${request.seed}`,
    prompt.tokens.join(''),
    index
  ]
  const prose = createProse(findTopics(prompt.text), createRandom('prose', ...seeds))
  const scores = createRandom('logprobs', ...seeds)
  const cutter = createStopCutter(request.stop, request.includeStop)
  // completions carry the asked number of alternatives beside the token itself
  const top = request.kind === 'chat' ? (request.logprobs ?? 0) : (request.logprobs ?? 0) + 1
  let tokens = 0
  return {
    next() {
      tokens += 1
      const mayStop = tokens > request.minTokens
      const token = prose.next(mayStop && !request.ignoreEos)
      const { text, stop } = cutter.push(token ?? '', mayStop)
      const scored = request.logprobs === undefined ? {} : { scored: score(token ?? END_OF_TEXT, top, scores) }
      const output = { ...scored, tokens: 1 as const, stopReason: stop ?? null }
      if (stop !== undefined) return { ...output, text, finishReason: 'stop' }
      if (token === undefined) return { ...output, text: text + cutter.flush(), finishReason: 'stop' }
      if (tokens >= request.maxTokens) return { ...output, text: text + cutter.flush(), finishReason: 'length' }
      return { ...output, text, finishReason: null }
    }
  }
}
