// How the engine says no: vLLM's error bodies, the statuses and the types that go with them.

/** Types by status, as vLLM and its HTTP framework name them. */
const TYPES: Record<number, string> = {
  400: 'BadRequestError',
  404: 'NotFoundError',
  405: 'Method Not Allowed',
  429: 'RateLimitError',
  500: 'InternalServerError',
  501: 'NotImplementedError',
  503: 'ServiceUnavailableError'
}

/** Any status's type; what vLLM has none for gets the name of its general failure. */
const typeOf = (status: number) => TYPES[status] ?? (status < 500 ? 'BadRequestError' : 'InternalServerError')

/** A request that the engine does not serve. */
export class Refusal extends Error {
  readonly status: number
  readonly param: string | null

  constructor(status: number, message: string, param: string | null = null) {
    super(message)
    this.name = 'Refusal'
    this.status = status
    this.param = param
  }
}

/** vLLM's error body; `code` is the status, as a number. */
export function refusalBody({ status, message, param }: Pick<Refusal, 'status' | 'message' | 'param'>): string {
  return JSON.stringify({ error: { message, type: typeOf(status), param, code: status } })
}

/** The data of an error event. vLLM writes this one event with Python's `json.dumps`: blanks after `:` and `,`. */
export function errorEventData(message: string, status = 500): string {
  const text = JSON.stringify(message)
  return `{"error": {"message": ${text}, "type": "${typeOf(status)}", "param": null, "code": ${status}}}`
}
