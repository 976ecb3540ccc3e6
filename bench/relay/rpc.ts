// Typed calls from the runner to its two helper processes, over the channel that Node opens to a child.
import type { ChildProcess } from 'node:child_process'

/** What a helper process does, by name. */
export type Verbs = Record<string, (argument: never) => unknown>

/** The other side of `serve`. */
export interface Remote<V> {
  /** Rejects when the helper throws, ends, or takes longer than `CALL_MS`. */
  call<K extends keyof V & string>(
    verb: K,
    ...argument: V[K] extends (...given: infer A) => unknown ? A : never
  ): Promise<V[K] extends (...given: never) => infer R ? Awaited<R> : never>
}

interface Ask {
  readonly id: number
  readonly verb: string
  readonly argument: unknown
}
interface Reply {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

/** Longer than any step of a scenario takes: whatever lasts longer hangs. */
const CALL_MS = 120_000

/** Answers the runner's calls until it goes; then this process goes, too. */
export function serve(verbs: Verbs): void {
  process.on('message', async ({ id, verb, argument }: Ask) => {
    try {
      const value = await (verbs[verb] as (given: unknown) => unknown)(argument)
      process.send?.({ id, value } satisfies Reply)
    } catch (cause) {
      process.send?.({ id, error: (cause as Error).message } satisfies Reply)
    }
  })
  process.on('disconnect', () => process.exit(0))
}

export function connectTo<V>(child: ChildProcess, name: string): Remote<V> {
  const waiting = new Map<number, (reply: Reply) => void>()
  let lastId = 0
  child.on('message', (reply: Reply) => waiting.get(reply.id)?.(reply))
  child.once('exit', (code) => {
    for (const [id, settle] of waiting) settle({ id, error: `the ${name} ended with code ${code}` })
  })
  return {
    call: (verb, ...[argument]) =>
      new Promise((resolve, reject) => {
        const id = ++lastId
        const settle = (reply: Reply) => {
          clearTimeout(timer)
          waiting.delete(id)
          if (reply.error === undefined) resolve(reply.value as never)
          else reject(new Error(reply.error))
        }
        const timer = setTimeout(() => settle({ id, error: `the ${name} did not answer ${verb}` }), CALL_MS)
        waiting.set(id, settle)
        if (child.exitCode !== null || !child.connected) settle({ id, error: `the ${name} is gone` })
        else child.send({ id, verb, argument } satisfies Ask)
      })
  }
}
