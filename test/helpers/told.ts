// One request and what the gateway told of it afterwards: the client's text beside the line in the log.
import { type ChatOptions, chat, eventsOf, jsonOf } from './client.ts'
import { type TestGateway, until } from './gateway.ts'

export interface Told {
  readonly response: Response
  readonly text: string
  /** The data of each event. */
  readonly events: string[]
  /** The line of the request in the log. */
  readonly record: Record<string, unknown>
}

let requests = 0

/** A request id of its own for each request, to find its line by. */
export const newRequestId = (): string => `told-${++requests}`

/** Waits for the line that the log has of a request. */
export async function recordOf(gateway: TestGateway, requestId: string): Promise<Record<string, unknown>> {
  const find = () => gateway.log.find((line) => line.message === 'request' && line.requestId === requestId)
  await until(`the log has ${requestId}`, () => find() !== undefined)
  return find() ?? {}
}

/** Streams to the end. */
export async function stream(
  gateway: TestGateway,
  body: Record<string, unknown> = {},
  options: Omit<ChatOptions, 'body'> = {}
): Promise<Told> {
  const requestId = newRequestId()
  const headers = { ...options.headers, 'x-request-id': requestId }
  const response = await chat(gateway.address, { ...options, headers, body: { ...body, stream: true } })
  const text = await response.text()
  return { response, text, events: eventsOf(text), record: await recordOf(gateway, requestId) }
}

/** The counts that an answer in one piece carries. */
export async function usageOfWhole(
  gateway: TestGateway,
  body: Record<string, unknown>,
  path?: string
): Promise<{ readonly prompt_tokens: number; readonly completion_tokens: number }> {
  const response = await chat(gateway.address, { body, ...(path === undefined ? {} : { path }) })
  return (await jsonOf(response)).usage
}

/** The chunks of a stream, parsed, without `[DONE]`. */
export const chunksOf = (events: readonly string[]): ReturnType<typeof JSON.parse>[] =>
  events.filter((data) => data !== '[DONE]').map((data) => JSON.parse(data))
