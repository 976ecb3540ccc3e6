// How many tokens a request may generate: what was asked, under what the model and the key allow. Pure.
import type { EnginePath } from '../contract.ts'
import { GatewayError } from '../errors.ts'
import type { JsonBody } from './json-body.ts'
import { countItems } from './json-scan.ts'

/** The fields that limit the output. */
const OLDER_NAME = 'max_tokens'
const NAMES = ['max_completion_tokens', OLDER_NAME]
/** OpenAI's own bound on `n`. */
const MAX_N = 128

export interface OutputCap {
  /** The limit of one choice, as it goes to the engine. */
  readonly maxTokens: number
  /** How many choices the answer has: `n` for each prompt. */
  readonly choices: number
  /** The body's fields that carry the limit upstream. */
  readonly fields: Readonly<Record<string, number>>
}

/**
 * The cap of one request. `allowed` bounds all of its choices together, so each gets an equal share; a request that asks
 * for less gets what it asks for, and one that asks for nothing gets the share. Throws `invalid_request` with the field.
 */
export function capOutput(path: EnginePath, body: JsonBody, allowed: number): OutputCap {
  const { choices, generated } = countChoices(path, body)
  const share = Math.floor(allowed / generated)
  if (share < 1) {
    const message = `${generated} choices need at least one token each, and ${allowed} tokens are allowed.`
    throw new GatewayError('invalid_request', { message, param: 'n' })
  }
  let maxTokens = share
  const named: string[] = []
  for (const name of NAMES) {
    const asked = readCount(body, name, Number.MAX_SAFE_INTEGER)
    if (asked === undefined) continue
    named.push(name)
    maxTokens = Math.min(maxTokens, asked)
  }
  // text completions know only the older field
  if (!named.includes(OLDER_NAME) && (named.length === 0 || path !== '/v1/chat/completions')) named.push(OLDER_NAME)
  const fields: Record<string, number> = {}
  for (const name of named) fields[name] = maxTokens
  return { maxTokens, choices, fields }
}

/** `best_of` generates more than the answer shows. */
function countChoices(path: EnginePath, body: JsonBody): { choices: number; generated: number } {
  const n = readCount(body, 'n', MAX_N) ?? 1
  if (path !== '/v1/completions') return { choices: n, generated: n }
  const bestOf = readCount(body, 'best_of', MAX_N) ?? n
  const prompts = Math.max(1, countPrompts(body.raw('prompt')) + countPrompts(body.raw('prompt_embeds')))
  return { choices: n * prompts, generated: Math.max(n, bestOf) * prompts }
}

const MINUS = 0x2d
const isNumber = (byte: number) => byte === MINUS || (byte >= 0x30 && byte <= 0x39)

/** A list of strings or of token lists is a prompt each; a list of tokens is one. It is counted, not parsed: it may be long. */
function countPrompts(prompt: Buffer | undefined): number {
  if (prompt === undefined || prompt.toString('latin1', 0, 4) === 'null') return 0
  const list = countItems(prompt)
  return list === undefined || isNumber(list.first) ? 1 : list.items
}

/** A field that counts; undefined where it is absent or null. */
function readCount(body: JsonBody, name: string, max: number): number | undefined {
  const value = body.get(name)
  if (value == null) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? 'of at least 1' : `from 1 to ${max}`
  throw new GatewayError('invalid_request', { message: `${name} must be a whole number ${range}.`, param: name })
}
