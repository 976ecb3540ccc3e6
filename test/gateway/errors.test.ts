// The errors that clients see: one table, one shape.
import { describe, expect, it } from 'vitest'
import { type ErrorCode, GatewayError, retryAfterSeconds, toOpenAiError } from '../../gateway/errors.ts'

describe('an error', () => {
  it.each<[ErrorCode, number, string, number | undefined]>([
    ['invalid_json', 400, 'invalid_request_error', undefined],
    ['invalid_request', 400, 'invalid_request_error', undefined],
    ['missing_api_key', 401, 'authentication_error', undefined],
    ['invalid_api_key', 401, 'authentication_error', undefined],
    ['model_not_found', 404, 'invalid_request_error', undefined],
    ['unknown_url', 404, 'invalid_request_error', undefined],
    ['method_not_allowed', 405, 'invalid_request_error', undefined],
    ['body_too_large', 413, 'invalid_request_error', undefined],
    ['unsupported_media_type', 415, 'invalid_request_error', undefined],
    ['engine_refused', 400, 'invalid_request_error', undefined],
    ['queue_full', 429, 'rate_limit_error', 2],
    ['memory_full', 429, 'rate_limit_error', 2],
    ['queue_timeout', 503, 'server_error', 5],
    ['engine_overloaded', 503, 'server_error', 2],
    ['no_engine', 503, 'server_error', 5],
    ['shutting_down', 503, 'server_error', 1],
    ['upstream_error', 502, 'server_error', undefined],
    ['ttft_timeout', 504, 'server_error', undefined],
    ['idle_timeout', 504, 'server_error', undefined],
    ['stream_timeout', 504, 'server_error', undefined],
    ['slow_reader', 499, 'server_error', undefined],
    ['internal_error', 500, 'server_error', undefined]
  ])('%s is a %i of type %s that says to come back after %s s', (code, status, type, after) => {
    const error = new GatewayError(code)
    expect([error.status, error.type, retryAfterSeconds(error)]).toEqual([status, type, after])
  })

  it('has the shape that OpenAI clients read', () => {
    expect(toOpenAiError(new GatewayError('invalid_request', { message: 'No.', param: 'n' }))).toEqual({
      error: { message: 'No.', type: 'invalid_request_error', param: 'n', code: 'invalid_request' }
    })
  })

  it('has a null where no field is at fault', () => {
    expect(toOpenAiError(new GatewayError('queue_full')).error.param).toBeNull()
  })

  it('keeps its cause from the client', () => {
    const error = new GatewayError('upstream_error', { cause: new Error('10.0.0.7 refused') })
    expect(JSON.stringify(toOpenAiError(error))).not.toContain('10.0.0.7')
  })

  it.each([
    [1, 1],
    [999, 1],
    [1_001, 2],
    [60_000, 60]
  ])('that may be tried again after %i ms says %i s', (retryAfterMs, seconds) => {
    expect(retryAfterSeconds(new GatewayError('queue_full', { retryAfterMs }))).toBe(seconds)
  })

  it('takes the status that an engine chose', () => {
    expect(new GatewayError('engine_refused', { status: 422 }).status).toBe(422)
  })
})
