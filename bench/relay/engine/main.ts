// The bench's engine, a process of its own: a vLLM of bytes only, on node:net, that says in each token when it was sent.
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '../rpc.ts'
import { type Answer, Answers } from './answers.ts'
import { makeJson } from './frames.ts'
import { readOrder } from './order.ts'
import { type Request, RequestReader } from './request-reader.ts'

/** A client that left, and when. */
export interface Leaver {
  readonly id: number
  readonly leftAtUs: number
}

/** How an upstream stream ended after its client had left; `closedAfterUs` is null while it is still open. */
export interface Cancel {
  readonly closedAfterUs: number | null
  readonly tokensAfter: number
}

const answers = new Answers()
const sockets = new Set<Socket>()
const HEALTHY = makeJson(200, 'OK', {})
const MODELS = makeJson(200, 'OK', { object: 'list', data: [{ id: 'bench', object: 'model', owned_by: 'vllm' }] })
const REFUSED = makeJson(400, 'Bad Request', { error: { message: 'there is no order in the prompt', code: 400 } })

const server = createServer({ noDelay: true }, (socket) => {
  const reader = new RequestReader()
  let answer: Answer | undefined
  const left = () => {
    if (answer !== undefined) answers.end(answer)
  }
  sockets.add(socket)
  socket.on('data', (bytes) => {
    try {
      const request = reader.push(bytes as Buffer)
      if (request !== undefined) answer = reply(request, socket)
    } catch {
      socket.destroy()
    }
  })
  socket.on('end', left)
  socket.on('error', left)
  socket.on('close', () => {
    left()
    sockets.delete(socket)
  })
})

function reply(request: Request, socket: Socket): Answer | undefined {
  const order = request.method === 'POST' ? readOrder(request.body) : undefined
  if (order !== undefined) return answers.start(order, socket)
  socket.write(request.path === '/health' ? HEALTHY : request.path === '/v1/models' ? MODELS : REFUSED)
  return undefined
}

function judgeCancel({ id, leftAtUs }: Leaver): Cancel {
  const logged = answers.logged.get(id)
  const closedAtUs = logged?.closedAtUs
  return {
    closedAfterUs: closedAtUs === undefined ? null : Math.max(0, closedAtUs - leftAtUs),
    tokensAfter: logged?.sentAtUs.filter((atUs) => atUs > leftAtUs).length ?? 0
  }
}

const verbs = {
  listen: () =>
    new Promise<number>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () =>
        resolve((server.address() as AddressInfo).port)
      )
    }),
  /** Sets the paced answers going that wait after their first token. */
  go: () => answers.go(),
  /** How many answers are open. */
  open: () => answers.open.size,
  /** Waits until no answer is open: when the last one ended, or null if some are left after `timeoutMs`. */
  async untilEmpty({ timeoutMs }: { timeoutMs: number }): Promise<number | null> {
    for (const until = performance.now() + timeoutMs; performance.now() < until; await sleep(2)) {
      if (answers.open.size === 0) return answers.emptiedAtUs
    }
    return answers.open.size === 0 ? answers.emptiedAtUs : null
  },
  /** Waits up to `timeoutMs` for the streams of `leavers` to close, and says how each did. */
  async cancels({ leavers, timeoutMs }: { leavers: Leaver[]; timeoutMs: number }): Promise<Cancel[]> {
    const pending = () => leavers.some(({ id }) => answers.logged.get(id)?.closedAtUs === undefined)
    for (const until = performance.now() + timeoutMs; pending() && performance.now() < until; ) await sleep(10)
    return leavers.map(judgeCancel)
  },
  /** Forgets what was logged, and closes what a proxy left open. */
  reset(): void {
    answers.logged.clear()
    for (const { socket } of [...answers.open]) socket.destroy()
  }
}
export type EngineVerbs = typeof verbs

serve(verbs)
