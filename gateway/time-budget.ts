// One time budget: every timer, grace period and proxy timeout of a region derived from a few numbers, or refused.
import { z } from 'zod'

const ms = (defaultMs: number, max = 86_400_000) => z.int().min(1).max(max).default(defaultMs)

/** The few numbers that an operator chooses, in milliseconds. */
const inputSchema = z.strictObject({
  /** How long connecting to an engine may take. */
  connectMs: ms(2_000),
  /** How long the first token may take, from the moment that an engine got the request. */
  firstTokenMs: ms(120_000),
  /** How long an engine may fall silent in the middle of an answer. */
  idleMs: ms(60_000),
  /** How long a request may take in all, waiting included. */
  streamMs: ms(600_000),
  /** An SSE comment goes out when a stream was silent for so long. */
  heartbeatMs: ms(10_000),
  /** A reader that takes nothing for so long is given up. */
  stalledMs: ms(30_000),
  /** How long Kubernetes, ingress and load balancer take to stop sending to a pod that is going. */
  propagationMs: z.int().min(0).max(600_000).default(15_000),
  /** How long a pod that is going lets its streams run on; without it as long as a stream may take. */
  drainMs: z.int().min(1).max(86_400_000).optional(),
  /** The shortest idle timer in front of the ingress that this stack can't set: a cloud load balancer, a CDN. */
  outerIdleMs: ms(60_000)
})

/** Time in which a process flushes its last bytes, writes its last log line and exits, after its drain. */
const EXIT_MS = 5_000
/** vLLM's teardown after its drain: worker processes, CUDA contexts, the HTTP server last. Generous on purpose. */
const ENGINE_EXIT_MS = 25_000
/** A connection that the gateway keeps for reuse must die here before the engine closes it, or a request meets a reset. */
const POOL_IDLE_MS = 30_000

function findProblems(input: z.output<typeof inputSchema>): [keyof typeof input, string][] {
  const problems: [keyof typeof input, string][] = []
  const atMost = (small: keyof typeof input, large: keyof typeof input, why: string) => {
    const [a, b] = [input[small], input[large]]
    if (a !== undefined && b !== undefined && a > b) {
      problems.push([small, `${small} (${a}) must be at most ${large} (${b}): ${why}`])
    }
  }
  atMost('connectMs', 'firstTokenMs', 'connecting is a part of the wait for the first token')
  atMost('firstTokenMs', 'streamMs', 'the first token is a part of the stream')
  atMost('idleMs', 'streamMs', 'a silence is a part of the stream')
  atMost('stalledMs', 'streamMs', 'a stall is a part of the stream')
  atMost('drainMs', 'streamMs', 'no stream lasts longer, so the rest of the drain would be spent waiting for nothing')
  if (input.heartbeatMs * 2 > input.outerIdleMs) {
    problems.push([
      'heartbeatMs',
      `heartbeatMs (${input.heartbeatMs}) must be at most half of outerIdleMs (${input.outerIdleMs}): one late beat must not cut a stream`
    ])
  }
  return problems
}

/** The time budget as the configuration has it: checked as a whole, each problem at its field. */
export const timeBudgetSchema = inputSchema
  .superRefine((input, context) => {
    for (const [field, message] of findProblems(input)) context.addIssue({ code: 'custom', path: [field], message })
  })
  .transform((input) => ({ ...input, drainMs: input.drainMs ?? input.streamMs }))

export type TimeBudgetInput = z.input<typeof timeBudgetSchema>
export type CheckedTimeBudget = z.output<typeof timeBudgetSchema>

/** Every number that follows from the budget, in the unit of the place where it is used. */
export interface TimeBudget {
  readonly gateway: {
    /** From SIGTERM on the gateway still takes new work for so long, while its readiness fails. */
    readonly propagationMs: number
    /** Then open streams run on for so long. */
    readonly drainMs: number
    /** Idle time of a connection kept to an engine; shorter than the engine's own. */
    readonly poolIdleMs: number
    /** `terminationGracePeriodSeconds` of the gateway: propagation + drain + exit. */
    readonly terminationGraceSeconds: number
  }
  readonly engine: {
    /** `preStop.sleep.seconds`: no gateway sends here any more when vLLM sees SIGTERM. */
    readonly preStopSeconds: number
    /** vLLM's `--shutdown-timeout`: running requests finish, its default 0 would abort them. */
    readonly shutdownTimeoutSeconds: number
    /** `terminationGracePeriodSeconds` of an engine: preStop + shutdown timeout + teardown. */
    readonly terminationGraceSeconds: number
    /** vLLM's `VLLM_HTTP_TIMEOUT_KEEP_ALIVE`, above the gateway's pool idle time (vLLM's default is 5). */
    readonly keepAliveSeconds: number
  }
  readonly ingress: {
    /** Idle timers of the proxy. An answer that is not streamed is silent until its end, so this exceeds a whole stream. */
    readonly readTimeoutSeconds: number
    /** How long a proxy that reloads lets its streams run on, and a load balancer its deregistered targets. */
    readonly drainSeconds: number
  }
}

const seconds = (milliseconds: number) => Math.ceil(milliseconds / 1000)

/** Derives every timer and grace period from a checked budget. */
export function deriveTimeBudget(budget: CheckedTimeBudget): TimeBudget {
  const { propagationMs, drainMs, streamMs } = budget
  return {
    gateway: {
      propagationMs,
      drainMs,
      poolIdleMs: POOL_IDLE_MS,
      terminationGraceSeconds: seconds(propagationMs + drainMs + EXIT_MS)
    },
    engine: {
      preStopSeconds: seconds(propagationMs),
      shutdownTimeoutSeconds: seconds(drainMs),
      terminationGraceSeconds: seconds(propagationMs) + seconds(drainMs) + seconds(ENGINE_EXIT_MS),
      keepAliveSeconds: seconds(POOL_IDLE_MS * 2)
    },
    ingress: {
      readTimeoutSeconds: seconds(streamMs) + 15,
      drainSeconds: seconds(propagationMs + drainMs)
    }
  }
}
