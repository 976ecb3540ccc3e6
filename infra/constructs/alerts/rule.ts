// What the rules of a region are made from, and the shape of a rule.

/** A model's engines as the rules see them. */
export interface WatchedPool {
  /** The gateway's pool. */
  readonly pool: string
  /** vLLM's label `model_name`, the gateway's `gen_ai_request_model`. */
  readonly servedModelName: string
  /** The label `job` of the engines' scrapes. */
  readonly job: string
  /** The pool may have no engine while nobody asks for it. */
  readonly scaledToZero: boolean
  /** Seconds that an engine may take to start: its node, its image and its load, and the download where each node has its own. */
  readonly startSeconds: number
  /** Seconds that the weights may be downloaded for before the first engine of all starts. @default 0 */
  readonly warmUpSeconds?: number
  /** Seconds that a rollout of the same weights may leave the pool without an engine. @default 0 */
  readonly gapSeconds?: number
}

/** What is promised to readers. */
export interface Objectives {
  /** Share of requests that do not fail by the service's fault, 0 to 1. */
  readonly availability: number
  /** Share of first tokens that come in time, 0 to 1. */
  readonly firstTokenShare: number
  /** What "in time" means, in seconds; a bound of the histogram. */
  readonly firstTokenSeconds: number
}

/** From where on somebody is called; shares are 0 to 1. */
export interface Thresholds {
  /** Waiting requests of a pool. */
  readonly queuedRequests: number
  readonly kvUsage: number
  readonly preemptionsPerMinute: number
  readonly engineFailedShare: number
  readonly cancelledShare: number
  readonly abandonedShare: number
  readonly slowReaderShare: number
  readonly refusedShare: number
  readonly rejectedKeysPerSecond: number
  /** Requests of a model in a rule's window, below which no share is told of: of three, one is a third. */
  readonly minRequests: number
}

/** A region as its rules see it. */
export interface Watched {
  readonly namespace: string
  /** The label `job` of the gateways' scrapes. */
  readonly gatewayJob: string
  readonly pools: readonly WatchedPool[]
  readonly objectives: Objectives
  readonly thresholds: Thresholds
}

/** A rule that keeps an expression as a series. Its labels are those that `expr` leaves, and the group's. */
export interface RecordingRule {
  readonly record: string
  readonly expr: string
}

export type Severity = 'critical' | 'warning'

/** A rule that calls somebody: at once when it is critical, in working hours when it is a warning. */
export interface AlertingRule {
  /** Also the section of the runbook. */
  readonly alert: string
  readonly expr: string
  /** How long it must hold, as `5m`. */
  readonly for: string
  readonly severity: Severity
  /** One line; may name labels, as `{{ $labels.pool }}`. */
  readonly summary: string
  /** What it means and what to look at first. */
  readonly description: string
  /** Further labels; rules of one name need something to tell them apart. @default none */
  readonly labels?: Readonly<Record<string, string>>
}

/** Rules that are evaluated together, in order. */
export interface RuleGroup {
  readonly name: string
  /** @default Prometheus' own */
  readonly interval?: string
  readonly rules: readonly (RecordingRule | AlertingRule)[]
}
