// Clients of resumable streams: they begin one, read it raw, leave in the middle, and come back where they were.
import { type ClientRequest, request } from 'node:http'
import { EventSource } from 'eventsource'
import { chatBody, jsonOf } from './client.ts'
import { KEY, type TestGateway } from './gateway.ts'

/** Fields of a chat request whose answer is soon over. */
export const SHORT = { max_tokens: 120, ignore_eos: true }

/** The headers of who began the streams. */
export const owner = { authorization: `Bearer ${KEY}` }

export interface Begun {
  readonly id: string
  readonly url: string
  readonly expires_at: number
}

export interface StreamRequest {
  readonly key?: string
  readonly endpoint?: string
  /** Fields of a chat request. */
  readonly body?: Record<string, unknown>
  /** A whole request of another kind. */
  readonly request?: Record<string, unknown>
}

export function postStream(address: string, options: StreamRequest = {}): Promise<Response> {
  const { key = KEY, endpoint = '/v1/chat/completions', body, request: whole } = options
  return fetch(`${address}/v1/streams`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ endpoint, body: whole ?? chatBody(body) })
  })
}

/** Begins a stream that must be let in. */
export async function beginStream(address: string, options: StreamRequest = {}): Promise<Begun> {
  const response = await postStream(address, options)
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`)
  return jsonOf(response)
}

/** Cancels a stream. */
export const remove = (address: string, url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${address}${url}`, { method: 'DELETE', headers })

/** How many streams a gateway has that still run. */
export const runningStreams = (gateway: TestGateway): Promise<number> =>
  gateway.metric('sluice_streams', { state: 'running' })

/** What a browser's EventSource is told of a stream until it is told that there is nothing more. */
export function listen(url: string): Promise<{ data: string[]; ids: string[]; closedBy: number | undefined }> {
  return new Promise((resolve) => {
    const [data, ids]: string[][] = [[], []]
    const source = new EventSource(url)
    source.onmessage = (event) => {
      data?.push(event.data)
      ids?.push(event.lastEventId)
    }
    source.onerror = (error) => {
      if (source.readyState === EventSource.CLOSED) resolve({ data: data ?? [], ids: ids ?? [], closedBy: error.code })
    }
  })
}

export interface Visit {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The whole events that came, `retry:` and heartbeats left out. */
  readonly events: string[]
}

export interface VisitOptions {
  readonly after?: string | undefined
  readonly headers?: Record<string, string>
  /** The socket is destroyed once so many bytes have come. */
  readonly cutAt?: number
}

/** Reads a stream to its end, or until the cut. */
export function visit(address: string, url: string, options: VisitOptions = {}): Promise<Visit> {
  const headers = { ...options.headers, ...(options.after === undefined ? {} : { 'last-event-id': options.after }) }
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = request(`${address}${url}`, { headers, agent: false }, (response) => {
      let bytes = Buffer.alloc(0)
      const finish = () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, events: toEvents(bytes) })
      response.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]).subarray(0, options.cutAt)
        if (bytes.length !== options.cutAt) return
        sent.destroy()
        finish()
      })
      response.on('end', finish)
      response.on('error', finish)
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** Half an event at the end is none, as the standard has it. */
function toEvents(bytes: Buffer): string[] {
  const text = bytes.toString()
  const whole = text.slice(0, text.lastIndexOf('\n\n') + 2)
  const events = whole.replaceAll(': heartbeat\n', '').split(/(?<=\n\n)/)
  return events.filter((event) => event !== '' && !event.startsWith('retry'))
}

/** The `id:` of an event. */
export const idOf = (event: string | undefined): string | undefined => /^id: (\d+)$/m.exec(event ?? '')?.[1]

/** An event as it comes where events have no numbers. */
export const withoutId = (event: string): string => event.replace(/^id: \d+\n/m, '')

/** Reads a stream in as many visits as it takes, each cut after `nextCut` bytes, by way of `addressOf(visit)`. */
export async function readInPieces(
  addressOf: (visit: number) => string,
  url: string,
  nextCut: () => number
): Promise<{ events: string[]; visits: number }> {
  const events: string[] = []
  for (let visits = 1; ; visits++) {
    const piece = await visit(addressOf(visits), url, { after: idOf(events.at(-1)), cutAt: nextCut() })
    if (piece.status === 204) return { events, visits }
    if (piece.status !== 200) throw new Error(`visit ${visits} got ${piece.status}`)
    events.push(...piece.events)
  }
}
