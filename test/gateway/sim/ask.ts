// Asks a simulated engine over real sockets, and reads the answer down to its bytes.
import { type IncomingMessage, request } from 'node:http'
import { type SimEngine, type SimOptions, startSimEngine } from '../../../gateway/sim/engine.ts'

export const MODEL = 'llama-3.1-8b-instruct'
export const QUICK = { prefillOverheadMs: 1, prefillPerTokenMs: 0, interTokenMs: 1, jitter: 0 }
/** As fast as it can. */
export const INSTANT = { prefillOverheadMs: 0, prefillPerTokenMs: 0, interTokenMs: 0, jitter: 0 }

export const start = (options: Partial<SimOptions> = {}): Promise<SimEngine> =>
  startSimEngine({ models: [MODEL], seed: 1, pace: QUICK, ...options })

export interface Asked {
  readonly path?: string
  readonly body?: Record<string, unknown>
  readonly headers?: Record<string, string>
}

const messages = [{ role: 'user', content: 'Why do rivers bend?' }]

/** A chat body, or that of a completion for another path. */
export const bodyOf = ({ path, body }: Asked): string =>
  JSON.stringify({ model: MODEL, ...(path === undefined ? { messages } : { prompt: 'Why do rivers bend?' }), ...body })

export function ask(engine: SimEngine, asked: Asked = {}): Promise<Response> {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...asked.headers },
    body: bodyOf(asked)
  }
  return fetch(`${engine.url}${asked.path ?? '/v1/chat/completions'}`, init)
}

// biome-ignore lint/suspicious/noExplicitAny: answers are asserted on field by field
export const jsonOf = (response: Response): Promise<any> => response.json()

export const askJson = async (engine: SimEngine, asked: Asked = {}) => jsonOf(await ask(engine, asked))

export const askStream = async (engine: SimEngine, body: Record<string, unknown> = {}, asked: Asked = {}) =>
  (await ask(engine, { ...asked, body: { stream: true, ...body } })).text()

/** A request on a socket of its own, that can be left at any time. */
export interface Open {
  readonly head: Promise<IncomingMessage>
  leave(): void
}

export function open(engine: SimEngine, asked: Asked = {}): Open {
  const url = `${engine.url}${asked.path ?? '/v1/chat/completions'}`
  const sent = request(url, { method: 'POST', agent: false, headers: asked.headers ?? {} })
  const head = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve)
    sent.once('error', reject)
  })
  head.catch(() => undefined)
  sent.end(bodyOf(asked))
  return { head, leave: () => sent.destroy() }
}

/** Everything that comes until the end, and whether that was a clean one. */
export async function readAll(response: IncomingMessage): Promise<{ text: string; isClean: boolean }> {
  let text = ''
  try {
    for await (const piece of response) text += piece
    return { text, isClean: true }
  } catch {
    return { text, isClean: false }
  }
}

/** The data of each event. */
export const eventsOf = (text: string): string[] =>
  text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice(6))

// biome-ignore lint/suspicious/noExplicitAny: answers are asserted on field by field
export const chunksOf = (text: string): any[] =>
  eventsOf(text)
    .filter((data) => data !== '[DONE]')
    .map((data) => JSON.parse(data))

/** What one choice of a stream says. */
export const textOf = (text: string, index = 0): string =>
  chunksOf(text)
    .flatMap(({ choices }) => choices ?? [])
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta?.content ?? choice.text ?? '')
    .join('')

export async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !condition(); await new Promise((go) => setTimeout(go, 2))) {
    if (performance.now() > end) throw new Error(`did not come: ${what}`)
  }
}

export const isRefused = (engine: SimEngine): Promise<boolean> =>
  fetch(`${engine.url}/health`).then(
    () => false,
    () => true
  )
