// A raw HTTP client: it sees what arrives and when, stops reading when told to, and leaves as rudely as a client can.
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { KEY, MODEL } from './gateway.ts'

export interface ChatOptions {
  readonly key?: string
  readonly body?: Record<string, unknown>
  readonly headers?: Record<string, string>
  readonly path?: string
}

export const chatBody = (more: Record<string, unknown> = {}) => ({
  model: MODEL,
  messages: [{ role: 'user', content: 'Tell me of rivers.' }],
  ...more
})

/** Fields of a chat request whose answer goes on until somebody ends it. */
export const LONG = { max_tokens: 50_000, ignore_eos: true }

/** Sends a chat request by `fetch`. */
export function chat(address: string, options: ChatOptions = {}): Promise<Response> {
  return fetch(`${address}${options.path ?? '/v1/chat/completions'}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${options.key ?? KEY}`,
      'content-type': 'application/json',
      ...options.headers
    },
    body: JSON.stringify(options.path === undefined ? chatBody(options.body) : options.body)
  })
}

export interface OpenRequest {
  readonly request: ClientRequest
  readonly head: Promise<IncomingMessage>
  /** Closes the socket, as a client does that is killed. */
  leave(): void
}

/** Sends a chat request on a socket of its own and hands over the raw response. */
export function openChat(address: string, options: ChatOptions = {}): OpenRequest {
  const headers = {
    authorization: `Bearer ${options.key ?? KEY}`,
    'content-type': 'application/json',
    ...options.headers
  }
  const sent = request(`${address}${options.path ?? '/v1/chat/completions'}`, { method: 'POST', headers, agent: false })
  const head = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve)
    sent.once('error', reject)
  })
  head.catch(() => undefined)
  sent.end(JSON.stringify(options.path === undefined ? chatBody(options.body) : options.body))
  return { request: sent, head, leave: () => sent.destroy() }
}

/** The data of each event in a whole event stream. */
export function eventsOf(text: string): string[] {
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice(6))
}

/** The text of a streamed chat answer. */
export function textOf(text: string): string {
  return eventsOf(text)
    .filter((data) => data !== '[DONE]')
    .map((data) => JSON.parse(data).choices?.[0]?.delta?.content ?? '')
    .join('')
}

/** The JSON of a response, to be looked into without a cast at every step. */
export async function jsonOf(response: Response): Promise<ReturnType<typeof JSON.parse>> {
  return JSON.parse(await response.text())
}
