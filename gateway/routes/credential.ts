// Where a request carries its API key.
import type { IncomingHttpHeaders } from 'node:http'
import { HEADERS } from '../contract.ts'

/** The key as OpenAI's clients send it, or else as Anthropic's do. */
export function readCredential({ authorization, [HEADERS.apiKey]: key }: IncomingHttpHeaders): string | undefined {
  return authorization ?? (typeof key === 'string' ? `Bearer ${key}` : undefined)
}
