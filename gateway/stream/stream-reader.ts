// What every reader of a streamed answer tells, whichever API it is of.
import type { Usage } from './usage.ts'

/**
 * What one event is: `output` carries generated text, `empty` is one without any (a role chunk), `finish` ends a choice,
 * `usage` carries counts and no choice, `error` is an engine's own error, `done` is the last event of a whole answer.
 */
export type EventKind = 'comment' | 'empty' | 'output' | 'finish' | 'usage' | 'error' | 'done' | 'malformed'

/** Follows one streamed answer, event by event. */
export interface StreamReader {
  /** The counts of the newest event that had any. */
  readonly usage: Usage | undefined
  /** Why the answer ended; `abort` and `error` are no proper endings. Undefined until it has. */
  readonly finishReason: string | undefined
  /** Everything has been said, though the last event may be missing. */
  readonly finished: boolean
  /** The HTTP status that an engine's error claims. */
  readonly errorStatus: number
  /** How many events carried output: the count of tokens where no usage says better. */
  readonly outputEvents: number
  /** How many events went by, where the API numbers them; else 0. */
  readonly events: number
  /** How many events may come before the first output and be held back, so that another engine can still be asked. */
  readonly maxEarlyEvents: number
  /** How large those may be, all of them. */
  readonly maxEarlyBytes: number
  /** An event that is larger is refused instead of held in memory. */
  readonly maxEventBytes: number
  /** What a finished answer ends with, for a reader whose engine left it out. */
  readonly lastEvent: Buffer
  /**
   * Whether a glance tells that what stands in `run` from `start` to `end`, which is one event, is output: then that is
   * counted. False tells nothing.
   */
  glance(run: Buffer, start: number, end: number): boolean
  /** Says what the event in `run` from `start` to `end` is, and keeps what it tells. */
  read(run: Buffer, start: number, end: number): EventKind
}
