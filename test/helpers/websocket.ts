// A WebSocket client that keeps what it hears: for tests that speak a protocol by hand, and break it.
import { type ClientOptions, WebSocket } from 'ws'
import { chatBody } from './client.ts'
import { KEY, type TestGateway, until } from './gateway.ts'

export interface TalkOptions {
  readonly path?: string
  /** Sent as a bearer token; null sends none. */
  readonly key?: string | null
  readonly protocols?: string[]
  readonly headers?: Record<string, string>
  readonly origin?: string
}

export type Message = ReturnType<typeof JSON.parse>

export interface Talk {
  readonly socket: WebSocket
  /** Every message so far, parsed. */
  readonly heard: Message[]
  /** Sends a value as JSON, a text as it is. */
  say(message: unknown): void
  /** Waits for the first message that has all of these fields. */
  hear(fields: Record<string, unknown>): Promise<Message>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

const urlOf = (address: string, path: string) => `${address.replace(/^http/, 'ws')}${path}`

function connect(address: string, options: TalkOptions): WebSocket {
  const { path = '/v1/chat/completions', key = KEY, protocols = [], origin } = options
  const headers = { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...options.headers }
  const settings: ClientOptions = { headers, perMessageDeflate: false, ...(origin === undefined ? {} : { origin }) }
  return new WebSocket(urlOf(address, path), protocols, settings)
}

/** Opens a connection; rejects where it is refused. */
export async function talkTo(address: string, options: TalkOptions = {}): Promise<Talk> {
  const socket = connect(address, options)
  const heard: Message[] = []
  socket.on('message', (data) => heard.push(JSON.parse(String(data))))
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }))
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => {})
  const find = (fields: Record<string, unknown>) =>
    heard.find((message) => Object.entries(fields).every(([name, value]) => message[name] === value))
  return {
    socket,
    heard,
    closed,
    say: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    async hear(fields) {
      await until(`a message with ${JSON.stringify(fields)}`, () => find(fields) !== undefined)
      return find(fields)
    }
  }
}

const open: Talk[] = []

/** Opens a connection to a gateway, to be closed by `closeTalks`. */
export async function talk(gateway: TestGateway, options: TalkOptions = {}): Promise<Talk> {
  const opened = await talkTo(gateway.address, options)
  open.push(opened)
  return opened
}

/** Closes every connection that `talk` opened; for `afterEach`. */
export function closeTalks(): void {
  for (const { socket } of open.splice(0)) socket.terminate()
}

/** Why a connection is refused: the status and the error's code. */
export function refusalOf(address: string, options: TalkOptions): Promise<{ status: number; code: string }> {
  const socket = connect(address, options)
  return new Promise((resolve, reject) => {
    socket.once('open', () => reject(new Error('it was let in')))
    socket.on('error', () => {})
    socket.once('unexpected-response', async (_request, response) => {
      let text = ''
      for await (const piece of response) text += piece
      resolve({ status: response.statusCode ?? 0, code: JSON.parse(text).error.code })
    })
  })
}

/** The message of Sluice's own protocol that asks for a stream. */
export const create = (id: string, more: Record<string, unknown> = {}) => ({ type: 'create', id, body: chatBody(more) })

/** The text of the chunks of one stream. */
export const textOfChunks = (heard: readonly Message[], id: string): string =>
  heard
    .filter((message) => message.type === 'chunk' && message.id === id)
    .map(({ data }) => data.choices?.[0]?.delta?.content ?? '')
    .join('')

let moments = 0

/** At how many moments the messages of a stream arrive: a proxy that collects them makes it few. */
export async function countMoments({ socket, say, hear }: Talk, tokens: number): Promise<number> {
  const arrivedMs: number[] = []
  const arrive = () => arrivedMs.push(performance.now())
  socket.on('message', arrive)
  const id = `moments-${++moments}`
  say(create(id, { max_tokens: tokens, ignore_eos: true }))
  await hear({ type: 'done', id })
  socket.off('message', arrive)
  return arrivedMs.filter((ms, i) => i === 0 || ms - (arrivedMs[i - 1] ?? ms) > 3).length
}
