// What the console's EventSource does when its stream is refused; the browser's side of it is a fake.
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { watchStream } from '../../../gateway/console/transport-event-source.js'

/** An EventSource that the server has refused. */
class RefusedSource {
  static readonly CLOSED = 2
  readonly readyState = RefusedSource.CLOSED
  onerror = () => {}

  constructor() {
    setImmediate(() => this.onerror())
  }

  close(): void {}
}

beforeEach(() => void vi.stubGlobal('EventSource', RefusedSource))
afterEach(() => void vi.unstubAllGlobals())

const listeners = { onChunk() {}, onConnection() {} }

it('says why a stream was refused', async () => {
  const refusal = () => Response.json({ error: { code: 'stream_not_found', message: 'Gone.' } }, { status: 404 })
  vi.stubGlobal('fetch', async () => refusal())
  await expect(watchStream('http://gateway/s', listeners, new AbortController().signal)).rejects.toMatchObject({
    code: 'stream_not_found'
  })
})

it('can be stopped while it asks why', async () => {
  const asked = Promise.withResolvers<void>()
  vi.stubGlobal('fetch', (_url: string, { signal }: { signal: AbortSignal }) => {
    asked.resolve()
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  })
  const stop = new AbortController()
  const watching = watchStream('http://gateway/s', listeners, stop.signal)
  await asked.promise
  stop.abort()
  await expect(watching).rejects.toMatchObject({ name: 'AbortError' })
})
