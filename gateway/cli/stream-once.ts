// Streams one chat completion over HTTP as any client would, and tells how fast it came.

export interface StreamRequest {
  /** `http://host:port` of a gateway. */
  readonly address: string
  readonly key: string
  readonly model: string
  readonly prompt: string
  readonly maxTokens: number
}

export interface StreamFigures {
  /** From the request to the first text, in ms. */
  readonly ttftMs: number
  readonly tokens: number
  /** From the first text to the last; 0 for fewer than two tokens. */
  readonly tokensPerSecond: number
}

/** Asks, hands each piece of text to `onText` as it arrives, and resolves to the figures; rejects on any error. */
export async function streamOnce(request: StreamRequest, onText: (text: string) => void): Promise<StreamFigures> {
  const startedMs = performance.now()
  const response = await fetch(`${request.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${request.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: request.model,
      messages: [{ role: 'user', content: request.prompt }],
      stream: true,
      max_tokens: request.maxTokens
    })
  })
  if (!response.ok || response.body === null)
    throw new Error(`the gateway answered ${response.status}: ${await response.text()}`)
  let tokens = 0
  let firstMs = 0
  let rest = ''
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + piece).split('\n\n')
    rest = events.pop() ?? ''
    for (const text of events.map(readText).filter((text) => text !== '')) {
      if (tokens++ === 0) firstMs = performance.now()
      onText(text)
    }
  }
  if (tokens === 0) throw new Error('the answer is empty')
  const lastMs = performance.now()
  return {
    ttftMs: firstMs - startedMs,
    tokens,
    tokensPerSecond: tokens < 2 ? 0 : ((tokens - 1) * 1000) / (lastMs - firstMs)
  }
}

/** The text of one event; '' for one without any. */
function readText(event: string): string {
  if (!event.startsWith('data: {')) return ''
  const chunk = JSON.parse(event.slice(6))
  if (chunk.error !== undefined) throw new Error(`the stream ended with an error: ${chunk.error.message}`)
  return chunk.choices?.[0]?.delta?.content ?? ''
}
