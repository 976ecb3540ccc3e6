// How many tokens a request may generate: what was asked, under what the model and the key allow. Pure.
import type { EngineRoute } from '../engine-routes.ts'
import { GatewayError } from '../errors.ts'
import { countItems } from './json-scan.ts'

/** The fields of a request, whatever it came as. */
export interface Fields {
  /** The value of a field; undefined where there is none. */
  get(name: string): unknown
  /** The bytes of a field's value; undefined where there is none. */
  raw(name: string): Buffer | undefined
}

/** OpenAI's own bound on `n`. */
const MAX_N = 128

export interface OutputCap {
  /** The limit of one choice, as it goes to the engine; undefined where nothing is generated. */
  readonly maxTokens: number | undefined
  /** How many choices the answer has: `n` for each prompt. */
  readonly choices: number
  /** How many requests it is to the engine. */
  readonly places: number
  /** The body's fields that carry the limit upstream. */
  readonly fields: Readonly<Record<string, number>>
}

/**
 * The cap of one request. `allowed` bounds all of its choices together, so each gets an equal share; a request that asks
 * for less gets what it asks for, and one that asks for nothing gets the share. Throws `invalid_request` with the field.
 */
export function capOutput({ cap, choices: counted }: EngineRoute, body: Fields, allowed: number): OutputCap {
  if (cap === undefined) return { maxTokens: undefined, choices: 1, places: countInputs(body), fields: {} }
  const { choices, generated } = countChoices(counted, body)
  const share = Math.floor(allowed / generated)
  if (share < 1) {
    const message = `${generated} choices need at least one token each, and ${allowed} tokens are allowed.`
    throw new GatewayError('invalid_request', { message, param: 'n' })
  }
  const asked = readCount(body, cap.name, Number.MAX_SAFE_INTEGER)
  if (asked === undefined && cap.isRequired) {
    throw new GatewayError('invalid_request', { message: `${cap.name} is required.`, param: cap.name })
  }
  const alias = cap.alias === undefined ? undefined : readCount(body, cap.alias, Number.MAX_SAFE_INTEGER)
  const maxTokens = Math.min(share, asked ?? share, alias ?? share)
  const fields: Record<string, number> = {}
  if (cap.alias !== undefined && alias !== undefined) fields[cap.alias] = maxTokens
  if (asked !== undefined || alias === undefined || !cap.aliasSuffices) fields[cap.name] = maxTokens
  return { maxTokens, choices, places: generated, fields }
}

/** `best_of` generates more than the answer shows. */
function countChoices(counted: EngineRoute['choices'], body: Fields): { choices: number; generated: number } {
  if (counted === 'one') return { choices: 1, generated: 1 }
  const n = readCount(body, 'n', MAX_N) ?? 1
  if (counted === 'best-of-n') return { choices: 1, generated: n }
  if (counted === 'n') return { choices: n, generated: n }
  const bestOf = readCount(body, 'best_of', MAX_N) ?? n
  const prompts = Math.max(1, countPrompts(body.raw('prompt')) + countPrompts(body.raw('prompt_embeds')))
  return { choices: n * prompts, generated: Math.max(n, bestOf) * prompts }
}

/** Where what is to be computed stands, whichever route it is for: vLLM has several names for it. */
const INPUTS = ['input', 'documents', 'items', 'text_1', 'text_2', 'data_1', 'data_2', 'queries']

/** The longest list decides: one query is scored against each of many documents. */
const countInputs = (body: Fields) => Math.max(1, ...INPUTS.map((name) => countPrompts(body.raw(name))))

const MINUS = 0x2d
const isNumber = (byte: number) => byte === MINUS || (byte >= 0x30 && byte <= 0x39)

/** A list of strings or of token lists is a prompt each; a list of tokens is one. It is counted, not parsed: it may be long. */
function countPrompts(prompt: Buffer | undefined): number {
  if (prompt === undefined || prompt.toString('latin1', 0, 4) === 'null') return 0
  const list = countItems(prompt)
  return list === undefined || isNumber(list.first) ? 1 : list.items
}

/** A field that counts; undefined where it is absent or null. */
function readCount(body: Fields, name: string, max: number): number | undefined {
  const value = body.get(name)
  if (value == null) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? 'of at least 1' : `from 1 to ${max}`
  throw new GatewayError('invalid_request', { message: `${name} must be a whole number ${range}.`, param: name })
}
