// A client that sends the very bytes a test gives it, in the pieces that it wants, and keeps all that comes back.
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface RawExchange {
  /** One write each; whatever follows a piece comes in another read where the kernel allows. */
  readonly pieces: readonly (string | Buffer)[]
  /** Says nothing more after the last piece: half of the connection is closed. */
  readonly ends?: boolean
  /** How long an answer may keep silent before it counts as none, in ms. */
  readonly quietMs?: number
}

/** What is asked after the first whole answer: it shows where the server thinks that the next request begins. */
const NEXT = 'GET /nowhere HTTP/1.1\r\nhost: next\r\nconnection: close\r\n\r\n'

const TICK_MS = 10

/** Counts silence in ticks: those that this process misses on a busy machine are none of the server's, which may run in it too. */
function watchSilence(forMs: number, then: () => void): { heard(): void; stop(): void } {
  let quietTicks = 0
  const ticking = setInterval(() => {
    if (++quietTicks * TICK_MS >= forMs) then()
  }, TICK_MS)
  return {
    heard() {
      quietTicks = 0
    },
    stop: () => clearInterval(ticking)
  }
}

/** Sends the pieces, then after the first whole answer one more request, and resolves to all that came until the close. */
export async function exchangeRaw(address: string, { pieces, ends, quietMs = 2_000 }: RawExchange): Promise<string> {
  const { hostname, port } = new URL(address)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true })
  let text = ''
  let sent = false
  let asked = false
  const closed = Promise.withResolvers<void>()
  const silence = watchSilence(quietMs, () => {
    silence.stop()
    text += '(silence)'
    socket.destroy()
  })
  socket.on('error', () => {})
  socket.on('close', () => closed.resolve())
  socket.on('end', () => socket.end())
  // an answer may come before the last piece has left, and whatever went between two pieces would be a part of the request
  const askNext = () => {
    if (!sent || asked || ends || !holdsAnswer(text)) return
    asked = true
    socket.write(NEXT)
  }
  socket.on('data', (bytes) => {
    silence.heard()
    text += bytes.toString('latin1')
    askNext()
  })
  await writePieces(socket, pieces)
  sent = true
  if (ends) socket.end()
  else askNext()
  await closed.promise
  silence.stop()
  return text
}

async function writePieces(socket: Socket, pieces: RawExchange['pieces']): Promise<void> {
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) await sleep(2)
    if (!socket.destroyed) socket.write(piece)
  }
}

/** A whole answer with a length, or in chunks. */
function holdsAnswer(text: string): boolean {
  const head = text.slice(0, text.indexOf('\r\n\r\n') + 4)
  if (head.length < 4) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length !== undefined) return text.length >= head.length + Number(length)
  return text.includes('\r\n0\r\n\r\n', head.length)
}

/** An answer without what differs from one to the next: its date, its id, its times and the size of the chunk with them. */
export const plain = (text: string): string =>
  text
    .replace(/\r\ndate: [^\r]*/gi, '\r\ndate: NOW')
    .replace(/req_[0-9a-f-]{36}/g, 'req_ID')
    .replace(/dur=[\d.]+/g, 'dur=MS')
    .replace(/\r\n[0-9a-f]+(?=\r\n: sluice )/g, '\r\nSIZE')
    .replace(/(ttft_ms|tokens_per_second)=[\d.]+/g, '$1=N')
