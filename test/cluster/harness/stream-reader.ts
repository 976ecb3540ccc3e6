// A client as a program, so that it can run in any network: opens streams, times each token, and tells how each one ended.
import { readFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestSecure } from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a reader is told on its standard input. */
export interface StreamOrder {
  /** `https://ADDRESS:PORT`, or `http:` for an engine itself. */
  readonly origin: string
  /** The host that is asked for, in TLS too. @default that of `origin` */
  readonly host?: string
  /** A file with the certificate that the server must have. */
  readonly certificate?: string
  readonly key: string
  readonly model: string
  readonly count: number
  readonly tokens: number
  /** Until the long streams have ended, a short one begins so often. @default none does */
  readonly newcomerEveryMs?: number
}

export interface StreamRecord {
  /** When each piece of text came, in ms since the stream was asked for. */
  readonly arrivalsMs: readonly number[]
  /** By the engine's own count; 0 if the stream did not get so far. */
  readonly tokens: number
  /** Why it did not end as it should; empty if it did. */
  readonly failure: string
}

/** What a reader prints, a line each: once when all long streams have begun, and at the end. */
export type ReaderLine =
  | { readonly open: number }
  | { readonly streams: readonly StreamRecord[]; readonly newcomers: readonly StreamRecord[] }

const NEWCOMER_TOKENS = 8

/** No stream has so long to wait for its next token, if it goes on at all: one that hangs is a failure, not a wait. */
const SILENCE_MS = 120_000

interface Progress {
  readonly arrivalsMs: number[]
  tokens: number
  isDone: boolean
}

function takeEvent(event: string, progress: Progress, nowMs: number): void {
  const data = event.replace(/^data: /, '')
  if (data === '[DONE]') {
    progress.isDone = true
    return
  }
  // a comment is the gateway's beat
  if (!event.startsWith('data: ')) return
  const { choices = [], usage, error } = JSON.parse(data)
  if (error !== undefined) throw new Error(`an error came on the stream: ${data}`)
  if (choices[0]?.delta?.content) progress.arrivalsMs.push(nowMs)
  progress.tokens = usage?.completion_tokens ?? progress.tokens
}

/** Sends the request. @returns it, and what it is answered with */
function openStream(
  order: StreamOrder,
  tokens: number,
  signal: AbortSignal
): { sent: ClientRequest; head: Promise<IncomingMessage> } {
  const { origin, host = new URL(origin).hostname, certificate, key, model } = order
  const headers = { host, authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const tls = certificate === undefined ? {} : { ca: readFileSync(certificate), servername: host }
  const how = { method: 'POST', headers, agent: false, signal, ...tls } as const
  const send = origin.startsWith('https:') ? requestSecure : requestPlain
  const sent = send(`${origin}/v1/chat/completions`, how)
  const head = new Promise<IncomingMessage>((resolve, reject) => sent.once('response', resolve).once('error', reject))
  const messages = [{ role: 'user', content: 'Tell me of rivers.' }]
  const more = { stream: true, stream_options: { include_usage: true }, ignore_eos: true }
  sent.end(JSON.stringify({ model, messages, max_tokens: tokens, ...more }))
  return { sent, head }
}

async function readStream(order: StreamOrder, tokens: number, onFirst: () => void): Promise<StreamRecord> {
  const startedMs = performance.now()
  const progress: Progress = { arrivalsMs: [], tokens: 0, isDone: false }
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), SILENCE_MS)
  const { sent, head } = openStream(order, tokens, silence.signal)
  try {
    const response = await head
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${await text(response)}`)
    let rest = ''
    for await (const chunk of response.setEncoding('utf8')) {
      const events = (rest + chunk).split('\n\n')
      rest = events.pop() ?? ''
      const had = progress.arrivalsMs.length
      for (const event of events) takeEvent(event, progress, performance.now() - startedMs)
      if (progress.arrivalsMs.length > had) timer.refresh()
      if (progress.arrivalsMs.length > 0) onFirst()
    }
    if (!progress.isDone) throw new Error('it ended without [DONE]')
    if (progress.tokens !== tokens) throw new Error(`it ended after ${progress.tokens} of ${tokens} tokens`)
    return { ...progress, failure: '' }
  } catch (cause) {
    const when = `at ${Math.round(performance.now() - startedMs)} ms, after ${progress.arrivalsMs.length} pieces`
    return { ...progress, failure: `${when}: ${(cause as Error).message}` }
  } finally {
    clearTimeout(timer)
    sent.destroy()
  }
}

async function main(): Promise<void> {
  const order: StreamOrder = JSON.parse(await text(process.stdin))
  const print = (line: ReaderLine) => process.stdout.write(`${JSON.stringify(line)}\n`)
  const begun = new Set<number>()
  const onFirst = (index: number) => {
    if (begun.size < order.count && begun.add(index).size === order.count) print({ open: order.count })
  }
  const newcomers: Promise<StreamRecord>[] = []
  let areOpen = true
  const streams = Promise.all(
    Array.from({ length: order.count }, (_, index) => readStream(order, order.tokens, () => onFirst(index)))
  ).finally(() => (areOpen = false))
  while (order.newcomerEveryMs !== undefined && areOpen) {
    newcomers.push(readStream(order, NEWCOMER_TOKENS, () => {}))
    await sleep(order.newcomerEveryMs)
  }
  print({ streams: await streams, newcomers: await Promise.all(newcomers) })
}

if (import.meta.main) await main()
