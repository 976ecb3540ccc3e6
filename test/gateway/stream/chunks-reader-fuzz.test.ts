// The reader's shortcut against a reader that parses every event: they agree on every stream.
import { describe, expect, it } from 'vitest'
import { ChunksReader } from '../../../gateway/stream/chunks-reader.ts'
import { seeded } from '../../helpers/fakes.ts'

const HOSTILE = [
  '"finish_reason":null}]}',
  '\\"finish_reason\\":null}]}\n\n',
  'data: [DONE]',
  '\n\ndata: [DONE]\n\n',
  '"finish_reason":"stop"}]}',
  '{"error":{"message":"x"}}',
  '"delta":{"content":"x',
  '","delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
  '\\',
  '"',
  '猫👩‍🚀',
  '}]}',
  ' '
]

interface Naive {
  readonly kind: string
  readonly output: boolean
  readonly finishReason: string | undefined
  readonly usage: number | undefined
}

/** Reads one event the slow way. */
function readNaively(event: string): Naive {
  const text = event.trim().slice(6)
  const none = { output: false, finishReason: undefined, usage: undefined }
  if (text === '[DONE]') return { ...none, kind: 'done' }
  const chunk = JSON.parse(text)
  if (chunk.error !== undefined) return { ...none, kind: 'error' }
  const usage: number | undefined = chunk.usage?.completion_tokens
  if (chunk.choices.length === 0) return { ...none, usage, kind: 'usage' }
  const [{ delta, finish_reason: reason }] = chunk.choices
  const output = Boolean(delta.content ?? delta.reasoning)
  if (reason !== null) return { output, finishReason: reason, usage, kind: 'finish' }
  return { output, finishReason: undefined, usage, kind: output ? 'output' : 'empty' }
}

/** How one engine writes its chunks: the same fields in the same order, chosen once a stream. */
function makeWriter(random: () => number) {
  const [logprobs, tokenIds, nullUsage, spaced, continuous] = Array.from({ length: 5 }, () => random() < 0.4)
  const [stops, fingerprint] = [random() < 0.5, random() < 0.5]
  const model = random() < 0.3 ? HOSTILE[Math.floor(random() * HOSTILE.length)] : 'm'
  let count = 0
  const stringify = (value: unknown) =>
    spaced ? JSON.stringify(value, null, 1).replaceAll('\n', '') : JSON.stringify(value)
  return (delta: object, reason: string | null, index: number) => {
    count++
    const stop = stops && reason !== null ? { stop_reason: [null, 'END', 2][Math.floor(random() * 3)] } : {}
    const choice = { index, delta, ...(logprobs ? { logprobs: null } : {}), finish_reason: reason, ...stop }
    const usage = { prompt_tokens: 1, completion_tokens: count }
    const tail = continuous ? { usage } : nullUsage ? { usage: null } : {}
    const last = fingerprint && reason !== null ? { system_fingerprint: 'vllm-1.0' } : {}
    const chunk = {
      id: 'c',
      model,
      choices: [{ ...choice, ...(tokenIds ? { token_ids: null } : {}) }],
      ...tail,
      ...last
    }
    return `data: ${stringify(chunk)}\n\n`
  }
}

function makeStream(random: () => number): string[] {
  const write = makeWriter(random)
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
  const text = () => Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(HOSTILE)).join('')
  const choices = 1 + Math.floor(random() * 3)
  const events = Array.from({ length: choices }, (_, index) => write({ role: 'assistant', content: '' }, null, index))
  for (let i = Math.floor(random() * 12); i > 0; i--) {
    events.push(write({ [pick(['content', 'reasoning'])]: text() }, null, Math.floor(random() * choices)))
    if (random() < 0.1) events.push(`data: ${JSON.stringify({ error: { message: text(), code: 500 } })}\n\n`)
  }
  for (let index = 0; index < choices; index++)
    events.push(write({ content: random() < 0.5 ? text() : '' }, pick(['stop', 'length', 'abort']), index))
  const counts = { prompt_tokens: 1, completion_tokens: 99 }
  if (random() < 0.5) events.push(`data: ${JSON.stringify({ choices: [], usage: counts })}\n\n`)
  return [...events, 'data: [DONE]\n\n']
}

const ROUNDS = 400

describe('a reader that parses only where it must', () => {
  it('finds every kind that parsing everything finds', () => {
    const random = seeded(7)
    for (let round = 0; round < ROUNDS; round++) {
      const events = makeStream(random)
      const run = Buffer.from(events.join(''))
      const reader = new ChunksReader()
      let at = 0
      for (const event of events) {
        const end = at + Buffer.byteLength(event)
        expect(reader.read(run, at, end), `round ${round}: ${event}`).toBe(readNaively(event).kind)
        at = end
      }
    }
  })

  it('counts the output, the finish reasons and the usage that parsing everything counts', () => {
    const random = seeded(8)
    for (let round = 0; round < ROUNDS; round++) {
      const events = makeStream(random)
      const reader = new ChunksReader()
      for (const event of events) reader.read(Buffer.from(event), 0, Buffer.byteLength(event))
      const naive = events.map(readNaively)
      const { outputEvents, finishReason, usage } = reader
      expect({ outputEvents, finishReason, usage: usage?.completionTokens }, events.join('')).toEqual({
        outputEvents: naive.filter(({ output }) => output).length,
        finishReason: naive.findLast((event) => event.finishReason !== undefined)?.finishReason,
        usage: naive.findLast((event) => event.usage !== undefined)?.usage
      })
    }
  })

  it('sees a choice that finishes beside one that goes on', () => {
    const both = (first: string | null) =>
      `data: ${JSON.stringify({
        choices: [
          { index: 0, delta: { content: 'a' }, finish_reason: first },
          { index: 1, delta: { content: 'b' }, finish_reason: null }
        ]
      })}\n\n`
    const reader = new ChunksReader()
    const kinds = [both(null), both('stop')].map((event) => reader.read(Buffer.from(event), 0, event.length))
    expect(kinds).toEqual(['output', 'finish'])
  })
})
