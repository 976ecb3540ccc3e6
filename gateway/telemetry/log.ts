// The process's log: pino, one JSON line a request, no prompt, no answer and no credential in it.
import { type Logger, pino } from 'pino'
import type { RequestRecord } from '../call.ts'

/** Creates the process's logger. Headers that carry credentials are cut out wherever a line would show them. */
export function createLog(level: string, destination?: { write(line: string): void }): Logger {
  const options = {
    level,
    base: null,
    messageKey: 'message',
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ['', 'req.', '*.'].flatMap((at) => [`${at}headers.authorization`, `${at}headers["x-api-key"]`])
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

const round = (ms: number | undefined) => (ms === undefined ? undefined : Math.round(ms * 10) / 10)

/** Writes the one line of a request that has ended. */
export function logRequest(log: Logger, record: RequestRecord): void {
  const { call, outcome } = record
  const error = outcome.kind === 'error' ? outcome.error : undefined
  const level = error !== undefined && error.status >= 500 ? 'warn' : 'info'
  if (!log.isLevelEnabled(level)) return
  const line = {
    requestId: call.id,
    keyId: call.principal.keyId,
    path: call.path,
    model: call.model,
    stream: call.stream,
    outcome: outcome.kind,
    code: error?.code,
    cause: error?.cause instanceof Error ? error.cause.message : undefined,
    err: error?.code === 'internal_error' ? error.cause : undefined,
    endpoint: record.endpoint,
    attempts: record.attempts,
    maxTokens: call.maxTokens,
    promptTokens: record.promptTokens,
    outputTokens: record.outputTokens,
    queuedMs: round(record.queuedMs),
    ttftMs: round(record.ttftMs),
    interTokenMs: round(record.interTokenMs),
    durationMs: round(record.durationMs)
  }
  log[level](line, 'request')
}
