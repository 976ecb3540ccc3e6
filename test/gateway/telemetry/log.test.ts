// The log: one line a request, and nothing in it that must stay secret.
import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../gateway/call.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { createLog, logRequest } from '../../../gateway/telemetry/log.ts'
import { fakeCall } from '../../helpers/fakes.ts'

function lineOf(outcome: Outcome): Record<string, unknown> {
  const lines: string[] = []
  const log = createLog('info', { write: (line) => lines.push(line) })
  logRequest(log, {
    call: fakeCall({ body: { type: 'application/json', bytes: Buffer.from('{"prompt":"my secret"}') } }),
    outcome,
    endpoint: 'a:8000',
    attempts: 1,
    queuedMs: 0.123,
    ttftMs: undefined,
    interTokenMs: 1.25,
    durationMs: 1234.56,
    promptTokens: 3,
    outputTokens: 4
  })
  if (lines.length !== 1) throw new Error(`${lines.length} lines`)
  return JSON.parse(lines[0] ?? '')
}

const failed = (error: GatewayError): Outcome => ({ kind: 'error', error, engineFault: false, retryable: false })

describe('the line of a request', () => {
  it('says who asked for what, how it ended and how long it took', () => {
    expect(lineOf({ kind: 'complete' })).toMatchObject({
      level: 'info',
      requestId: 'req_test',
      keyId: 'test',
      model: 'm',
      outcome: 'complete',
      endpoint: 'a:8000',
      queuedMs: 0.1,
      durationMs: 1234.6,
      outputTokens: 4
    })
  })

  it('has no prompt in it', () => {
    expect(JSON.stringify(lineOf({ kind: 'complete' }))).not.toContain('secret')
  })

  it('has the cause that the client does not see', () => {
    const error = new GatewayError('upstream_error', { cause: new Error('connect ECONNREFUSED 10.0.0.7') })
    expect(lineOf(failed(error))).toMatchObject({ code: 'upstream_error', cause: 'connect ECONNREFUSED 10.0.0.7' })
  })

  it.each([
    ['upstream_error', 'warn'],
    ['queue_full', 'info'],
    ['slow_reader', 'info']
  ] as const)('of a request that ended with %s is of the level %s', (code, level) => {
    expect(lineOf(failed(new GatewayError(code))).level).toBe(level)
  })
})

it.each([{ headers: { authorization: 'Bearer sk-1' } }, { req: { headers: { authorization: 'Bearer sk-1' } } }])(
  'a credential in %j is cut out',
  (line) => {
    const lines: string[] = []
    createLog('info', { write: (text) => lines.push(text) }).info(line, 'x')
    expect(lines.join('')).not.toContain('sk-1')
  }
)
