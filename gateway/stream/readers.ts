// Chooses once for each answer who reads it, and what an answer in one piece says of its own end.
import type { Call } from '../call.ts'
import type { Api } from '../engine-routes.ts'
import { ChunksReader } from './chunks-reader.ts'
import { MessagesReader } from './messages-reader.ts'
import { judgeResponse, ResponsesReader, type SaidResponse } from './responses-reader.ts'
import type { StreamReader } from './stream-reader.ts'

/** The reader of a call's streamed answer. */
export function createReader({ api, choices }: Call): StreamReader {
  if (api === 'chunks') return new ChunksReader(choices)
  return api === 'responses' ? new ResponsesReader() : new MessagesReader()
}

/** How an answer in one piece ended: as it should, given up by the engine, or failed. */
export type Ending = 'whole' | 'abort' | 'error'

interface SaidAnswer extends SaidResponse {
  readonly type?: unknown
  readonly choices?: readonly { readonly finish_reason?: unknown }[]
  readonly stop_reason?: unknown
}

/**
 * What stands in every answer that did not end as it should. An answer without it is not parsed; one that merely quotes
 * it is parsed for nothing.
 */
const SUSPECT = {
  chunks: /"abort"/,
  responses: /"(?:cancelled|failed)"|"output_tokens"\s*:\s*0\b/,
  // one that ended well names a reason
  messages: /^(?![\s\S]*"stop_reason"\s*:\s*")/
} as const

/** The ending of an answer with status 200; one that is not JSON has none to tell. */
export function readEnding({ api }: Call, body: Buffer): Ending {
  const text = body.toString()
  if (!SUSPECT[api].test(text)) return 'whole'
  try {
    return judge(api, JSON.parse(text))
  } catch {
    return 'whole'
  }
}

function judge(api: Api, answer: SaidAnswer): Ending {
  if (api === 'messages') return answer.type === 'message' && answer.stop_reason == null ? 'abort' : 'whole'
  if (api === 'responses') {
    const ending = judgeResponse(answer)
    return ending === 'abort' || ending === 'error' ? ending : 'whole'
  }
  const { choices = [] } = answer
  return choices.length > 0 && choices.every((choice) => choice.finish_reason === 'abort') ? 'abort' : 'whole'
}
