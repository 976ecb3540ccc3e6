// A crowd of streaming clients of every manner: patient, gone before the head, gone in the middle, stalled; by a seed.
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type OpenRequest, openChat } from './client.ts'
import { MODEL } from './gateway.ts'

/** How one stream went, as its client saw it. */
export type Ending =
  | 'done'
  | 'error event'
  | 'refused'
  | 'left before the head'
  | 'left in the middle'
  | 'left while paused'
  | 'given up'
  | 'broken'

export type Tally = Record<Ending, number>

const newTally = (): Tally => ({
  done: 0,
  'error event': 0,
  refused: 0,
  'left before the head': 0,
  'left in the middle': 0,
  'left while paused': 0,
  'given up': 0,
  broken: 0
})

export interface CrowdOptions {
  readonly address: string
  readonly clients: number
  readonly forMs: number
  /** How many streams are to be done: where the machine is too slow for so many, it goes on for up to four times `forMs`. @default 0 */
  readonly leastDone?: number
  /** From 0 to 1. */
  readonly random: () => number
}

/** Keeps `clients` streams open for `forMs`, and waits for the last one to end. */
export async function runCrowd({ address, clients, forMs, random, leastDone = 0 }: CrowdOptions): Promise<Tally> {
  const tally = newTally()
  const [end, lastEnd] = [performance.now() + forMs, performance.now() + 4 * forMs]
  const goesOn = (nowMs: number) => nowMs < end || (tally.done < leastDone && nowMs < lastEnd)
  const client = async () => {
    await sleep(random() * 500)
    while (goesOn(performance.now())) {
      const ending = await streamOnce(address, random)
      tally[ending]++
      await sleep(random() * 100)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return tally
}

/** One stream in a manner that chance chooses: most are read to their end. */
async function streamOnce(address: string, random: () => number): Promise<Ending> {
  const body = { model: MODEL, stream: true, max_tokens: 3 + Math.floor(random() * 20), ignore_eos: true }
  const manner = random()
  const open = openChat(address, { body })
  open.request.on('error', () => {})
  if (manner < 0.08) return await leaveAfter(open, random() * 300, 'left before the head')
  let response: IncomingMessage
  try {
    response = await open.head
  } catch {
    return 'broken'
  }
  response.on('error', () => {})
  if (response.statusCode !== 200) return await readRefusal(response)
  if (manner < 0.16) return await leaveAfter(open, random() * 1_000, 'left in the middle', response)
  if (manner < 0.22) {
    response.pause()
    return await leaveAfter(open, random() * 1_000, 'left while paused')
  }
  if (manner < 0.28) await sleep(random() * 1_000)
  return await readToEnd(response)
}

async function leaveAfter(open: OpenRequest, ms: number, ending: Ending, reads?: IncomingMessage): Promise<Ending> {
  reads?.resume()
  await sleep(ms)
  open.leave()
  return ending
}

async function readRefusal(response: IncomingMessage): Promise<Ending> {
  let text = ''
  for await (const piece of response) text += piece
  const { error } = JSON.parse(text)
  return [502, 503].includes(response.statusCode ?? 0) && typeof error.code === 'string' ? 'refused' : 'broken'
}

async function readToEnd(response: IncomingMessage): Promise<Ending> {
  let text = ''
  try {
    for await (const piece of response) text += piece
  } catch {
    return 'broken'
  }
  if (!text.endsWith('data: [DONE]\n\n')) return 'broken'
  if (text.includes('data: {"error"')) return 'error event'
  return text.includes('"finish_reason":"') ? 'done' : 'broken'
}

/** Keeps `clients` readers of an endless answer for `forMs`, and until one is given up: they stop, and go on and leave. */
export async function runStalled(model: string, { address, clients, forMs, random }: CrowdOptions): Promise<Tally> {
  const tally = newTally()
  const [end, lastEnd] = [performance.now() + forMs, performance.now() + 4 * forMs]
  const goesOn = (nowMs: number) => nowMs < end || (tally['given up'] === 0 && nowMs < lastEnd)
  const body = { model, stream: true, max_tokens: 50_000, ignore_eos: true, logprobs: true, top_logprobs: 20 }
  const client = async () => {
    while (goesOn(performance.now())) {
      const open = openChat(address, { body })
      open.request.on('error', () => {})
      const response = await open.head
      response.on('error', () => {})
      response.pause()
      await sleep(random() < 0.5 ? 500 : 4_000)
      tally[await readOn(response, 16 * 1024 * 1024)]++
      open.leave()
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return tally
}

/** Reads so many bytes more, unless the connection breaks before. */
async function readOn(response: IncomingMessage, bytes: number): Promise<Ending> {
  let left = bytes
  try {
    for await (const piece of response) {
      left -= piece.length
      if (left <= 0) return 'left in the middle'
    }
    return 'done'
  } catch {
    return 'given up'
  }
}
