// What is measured: a proxy that can be started and stopped, or the engine without one.
import type { Address } from '../load/client.ts'
import type { Started } from '../processes.ts'

/** A subject that serves. */
export interface Target extends Address {
  readonly name: string
  /** The root of the proxy's process tree; undefined where there is no proxy. */
  readonly pid: number | undefined
  /** What part of a scenario's streams and requests it is given: 1, or less where it can't sustain them. */
  readonly scale: number
  readonly started?: Started
}

export interface Subject {
  readonly name: string
  /** What it is, for the head of the report. */
  readonly about: string
  /** A peer runs only the scenarios that are worth a comparison when time is short. */
  readonly peer: boolean
  /** Whether it can start without installing anything. */
  readonly installed: () => boolean
  /** Installs it where need be, starts it and waits until it serves; throws with the reason when it can't. */
  start(enginePort: number, say: (text: string) => void): Promise<Target>
}

export const HOST = '127.0.0.1'
export const START_MS = 20_000
