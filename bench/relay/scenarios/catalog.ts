// All scenarios, in the order in which they run.
import { cancel } from './cancel.ts'
import { memory, stalled } from './memory.ts'
import { requests, ttft } from './requests.ts'
import type { Lengths, Scenario } from './scenario.ts'
import { delay, firehose, heavy, steady } from './streams.ts'

export const scenarioNames = [
  'steady',
  'heavy',
  'delay',
  'firehose',
  'requests',
  'ttft',
  'cancel',
  'memory',
  'stalled'
] as const

export const createScenarios = (lengths: Lengths): readonly Scenario[] =>
  [steady, heavy, delay, firehose, requests, ttft, cancel, memory, stalled].map((create) => create(lengths))
