// OpenAI's WebSocket mode by hand: what asks for a response, and what has come of it.
import { MODEL, type TestGateway, until } from './gateway.ts'
import { type Message, type Talk, talk } from './websocket.ts'

/** Opens a connection for responses, to be closed by `closeTalks`. */
export const talkOfResponses = (gateway: TestGateway): Promise<Talk> => talk(gateway, { path: '/v1/responses' })

/** The event that asks for a response. */
export const createResponse = (more: Record<string, unknown> = {}) => ({
  type: 'response.create',
  model: MODEL,
  input: 'Tell me of rivers.',
  ...more
})

const ENDINGS = ['response.completed', 'response.incomplete']

/** Waits for so many responses of a lane to have ended, and gives the last. */
export async function ended({ heard }: Talk, lane: string | undefined, count = 1): Promise<Message> {
  const endings = () => heard.filter(({ type, stream_id }) => ENDINGS.includes(type) && stream_id === lane)
  await until(`${count} responses have ended`, () => endings().length >= count)
  return endings()[count - 1].response
}
