// The events of OpenAI's Responses API that the gateway writes itself, on a WebSocket.
import { type GatewayError, toOpenAiError } from '../../errors.ts'

/** A response of which the gateway knows little more than how it ended. */
export interface ResponseFacts {
  readonly id: string
  readonly model: string
  /** In seconds since 1970. */
  readonly createdSeconds: number
}

const toMessage = (lane: string | undefined, event: object) =>
  Buffer.from(JSON.stringify(lane === undefined ? event : { stream_id: lane, ...event }))

function describe({ id, model, createdSeconds }: ResponseFacts, status: string, reason?: string): object {
  return {
    id,
    object: 'response',
    created_at: createdSeconds,
    status,
    error: null,
    incomplete_details: reason === undefined ? null : { reason },
    instructions: null,
    metadata: null,
    model,
    output: [],
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    usage: null
  }
}

/** An error as the Responses API has it on a WebSocket, with its HTTP status. */
export function errorEvent(lane: string | undefined, error: GatewayError, sequence?: number): Buffer {
  const at = sequence === undefined ? {} : { sequence_number: sequence }
  return toMessage(lane, { type: 'error', status: error.status, ...toOpenAiError(error), ...at })
}

/** The whole of a response without output: `generate: false` prepares its lane. */
export function warmUpEvents(lane: string | undefined, facts: ResponseFacts): Buffer[] {
  const steps = [
    ['response.created', 'in_progress'],
    ['response.in_progress', 'in_progress'],
    ['response.completed', 'completed']
  ] as const
  return steps.map(([type, status], sequence) =>
    toMessage(lane, { type, sequence_number: sequence, response: describe(facts, status) })
  )
}

/** The last event of a response that its client broke off. */
export function cancelledEvent(lane: string | undefined, facts: ResponseFacts, sequence: number): Buffer {
  const response = describe(facts, 'incomplete', 'cancelled')
  return toMessage(lane, { type: 'response.incomplete', sequence_number: sequence, response })
}

/** The answer to `response.steer`: no engine takes input in the middle of an answer. */
export function steerFailedEvent(steer: { readonly input: unknown; readonly previous_response_id: unknown }): Buffer {
  const message = 'The engines take no input while they answer. Cancel the response, or send the input after it.'
  return toMessage(undefined, {
    type: 'response.steer.failed',
    sequence_number: 0,
    steer,
    error: { type: 'invalid_request_error', code: 'steering_not_supported', message }
  })
}
