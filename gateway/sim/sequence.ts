// What the scheduler and a generation say to each other about one sequence of tokens, types only.
import type { FinishReason } from './output.ts'

/** What one step made of a sequence. */
export interface Emission {
  readonly tokens: 0 | 1
  /** Not null ends the sequence. */
  readonly finishReason: FinishReason | null
}

/** Something that the engine can run: the scheduler decides when, the sequence what. */
export interface Sequence {
  readonly prompt: readonly string[]
  /** While true it takes no part in steps, but keeps its place in the batch and its blocks. */
  readonly held: boolean
  /** Takes one step. */
  emit(): Emission
}

/** The hold that the owner of a sequence has on it. */
export interface Ticket {
  /** Takes the sequence out at once. */
  drop(): void
  /** Takes the sequence out because its client has left: after the step under way, if it has a part in one. */
  leave(): void
}

/** A sequence inside the scheduler. Times are of the engine's clock, in ms. */
export interface Entry {
  readonly sequence: Sequence
  state: 'waiting' | 'running' | 'gone'
  leaving: boolean
  blocks: number
  tokens: number
  finishReason?: FinishReason
  readonly queuedAtMs: number
  scheduledAtMs?: number
  /** When its prefill is done. */
  readyAtMs?: number
  firstTokenAtMs?: number
  lastTokenAtMs?: number
}
