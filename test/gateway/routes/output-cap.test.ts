// How many tokens a request may generate.
import { describe, expect, it } from 'vitest'
import { ENGINE_ROUTES } from '../../../gateway/engine-routes.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { readJsonBody } from '../../../gateway/routes/json-body.ts'
import { capOutput } from '../../../gateway/routes/output-cap.ts'

const bodyOf = (body: object) => readJsonBody(Buffer.from(JSON.stringify(body)))
const chat = (body: object, allowed = 100) => capOutput(ENGINE_ROUTES['/v1/chat/completions'], bodyOf(body), allowed)
const complete = (body: object, allowed = 100) => capOutput(ENGINE_ROUTES['/v1/completions'], bodyOf(body), allowed)

function refusalOf(cap: () => unknown): string {
  try {
    return JSON.stringify(cap())
  } catch (cause) {
    return cause instanceof GatewayError ? `${cause.code} at ${cause.param}` : String(cause)
  }
}

describe('a chat', () => {
  it.each([
    ['that asks for nothing gets what is allowed', {}, { max_tokens: 100 }],
    ['that asks for less gets that', { max_tokens: 7 }, { max_tokens: 7 }],
    ['that asks for more gets what is allowed', { max_tokens: 5_000 }, { max_tokens: 100 }],
    ['is capped in the newer field', { max_completion_tokens: 5_000 }, { max_completion_tokens: 100 }],
    [
      'with both fields gets the smaller in both',
      { max_tokens: 9, max_completion_tokens: 8 },
      { max_completion_tokens: 8, max_tokens: 8 }
    ],
    ['with a null gets what is allowed', { max_tokens: null }, { max_tokens: 100 }],
    ['of several choices shares what is allowed', { n: 3 }, { max_tokens: 33 }],
    ['of several choices that asks for less gets that', { n: 3, max_tokens: 20 }, { max_tokens: 20 }],
    ['does not count best_of, which it has not', { best_of: 10 }, { max_tokens: 100 }]
  ])('%s', (_what, body, fields) => {
    expect(chat(body).fields).toEqual(fields)
  })
})

describe('a completion', () => {
  it.each([
    ['of one prompt', { prompt: 'a' }, 1],
    ['of several prompts', { prompt: ['a', 'b', 'c', 'd'] }, 4],
    ['of one prompt in tokens', { prompt: [1, 2, 3] }, 1],
    ['of several prompts in tokens', { prompt: [[1, 2], [3]] }, 2],
    ['of several prompts and choices', { prompt: ['a', 'b'], n: 3 }, 6],
    ['of the best of several', { prompt: 'a', n: 2, best_of: 5 }, 2],
    ['of prompts as embeddings', { prompt_embeds: ['a', 'b'] }, 2],
    ['of fewer best than choices', { prompt: 'a', n: 5, best_of: 2 }, 5],
    ['of an empty list', { prompt: [] }, 1],
    ['without a prompt', {}, 1]
  ])('%s has so many choices', (_what, body, choices) => {
    expect(complete(body).choices).toBe(choices)
  })

  it('takes a place at an engine for each answer that is generated', () => {
    expect(
      [
        { n: 2, best_of: 5 },
        { prompt: ['a', 'b'], n: 3 }
      ].map((body) => complete(body).places)
    ).toEqual([5, 6])
  })

  it('counts what is generated and not shown against the cap', () => {
    expect(complete({ prompt: 'a', n: 2, best_of: 5 }).maxTokens).toBe(
      Math.floor(Number(complete({ prompt: 'a' }).maxTokens) / 5)
    )
  })

  it('shares what is allowed among all of them', () => {
    expect(complete({ prompt: ['a', 'b'], n: 5 }).maxTokens).toBe(10)
  })

  it('is limited by the newer field of chats too, in the field that it knows', () => {
    expect(complete({ prompt: 'a', max_completion_tokens: 5 }).fields).toEqual({
      max_completion_tokens: 5,
      max_tokens: 5
    })
  })
})

it('a transcription shares what is allowed among its beams, of which it shows the best', () => {
  expect(capOutput(ENGINE_ROUTES['/v1/audio/transcriptions'], bodyOf({ n: 4 }), 100)).toMatchObject({
    maxTokens: 25,
    choices: 1
  })
})

describe('a request is refused', () => {
  it.each([
    ['for no choices', { n: 0 }, 'n'],
    ['for half a choice', { n: 1.5 }, 'n'],
    ['for too many choices', { n: 129 }, 'n'],
    ['for choices in letters', { n: '3' }, 'n'],
    ['for no tokens', { max_tokens: 0 }, 'max_tokens'],
    ['for negative tokens', { max_tokens: -1 }, 'max_tokens'],
    ['for tokens in letters', { max_tokens: '5' }, 'max_tokens'],
    ['for half a token', { max_completion_tokens: 0.5 }, 'max_completion_tokens'],
    ['for more tokens than a number can count', { max_tokens: 1e300 }, 'max_tokens'],
    ['for more choices than tokens', { n: 101 }, 'n']
  ])('%s, at its field', (_what, body, param) => {
    expect(refusalOf(() => chat(body))).toBe(`invalid_request at ${param}`)
  })

  it('for more prompts than tokens', () => {
    expect(refusalOf(() => complete({ prompt: Array(101).fill('a') }))).toBe('invalid_request at n')
  })
})

describe('what is computed', () => {
  it.each([
    ['/v1/embeddings', { input: 'a' }, 1],
    ['/v1/embeddings', { input: [1, 2, 3] }, 1],
    ['/v1/embeddings', { input: ['a', 'b', 'c'] }, 3],
    ['/v1/embeddings', { messages: [{ role: 'user', content: 'a' }] }, 1],
    ['/v1/rerank', { query: 'a', documents: ['b', 'c'] }, 2],
    ['/v1/score', { text_1: 'a', text_2: ['b', 'c', 'd'] }, 3],
    ['/v1/detokenize', { tokens: [1, 2] }, 1]
  ] as const)('on %s, %j, takes %i places at an engine', (path, body, places) => {
    expect(capOutput(ENGINE_ROUTES[path], bodyOf(body), 100)).toMatchObject({ choices: 1, places })
  })
})
