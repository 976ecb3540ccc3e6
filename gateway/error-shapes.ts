// An error in the words of each API: the body of a response, and the event that ends a stream so that its SDK raises it.
import type { Api } from './engine-routes.ts'
import { type GatewayError, toOpenAiError } from './errors.ts'

/** How one API says that something went wrong. */
export interface ErrorShape {
  /** The JSON body of a response. */
  body(error: GatewayError, requestId: string | undefined): object
  /**
   * The last events of a stream that had begun.
   *
   * @param sequence how many events have gone before, for an API that numbers them
   */
  event(error: GatewayError, sequence: number): string
}

const chunks: ErrorShape = {
  body: toOpenAiError,
  event: (error) => `data: ${JSON.stringify(toOpenAiError(error))}\n\ndata: [DONE]\n\n`
}

/** OpenAI's `ResponseErrorEvent`; its stream has no `[DONE]`. */
const responses: ErrorShape = {
  body: toOpenAiError,
  event({ code, message, param }, sequence) {
    const data = { type: 'error', code, message, param, sequence_number: sequence }
    return `event: error\ndata: ${JSON.stringify(data)}\n\n`
  }
}

/** Anthropic's types by status (https://docs.anthropic.com/en/api/errors); it says 529 where others say 503. */
const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error'
}

function toAnthropicError({ status, message }: GatewayError, requestId: string | undefined): object {
  const type = TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
  return { type: 'error', error: { type, message }, ...(requestId === undefined ? {} : { request_id: requestId }) }
}

const messages: ErrorShape = {
  body: toAnthropicError,
  event: (error) => `event: error\ndata: ${JSON.stringify(toAnthropicError(error, undefined))}\n\n`
}

export const ERROR_SHAPES: Readonly<Record<Api, ErrorShape>> = { chunks, responses, messages }
