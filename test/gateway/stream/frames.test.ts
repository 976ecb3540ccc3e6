// Chunks that go through as they came: the reader gets the same events as if each had been framed anew.
import { describe, expect, it } from 'vitest'
import type { Call } from '../../../gateway/call.ts'
import { DONE_EVENT, ERROR_FRAME, FakeSink, FINISH, ROLE, seeded, TEXT, USAGE } from '../../helpers/fakes.ts'
import { startAttempt, summary } from '../../helpers/relay.ts'

/** A sink that takes frames too, and notes what came as frames and what came bare. */
class FramingSink extends FakeSink {
  readonly framed: string[] = []
  held = 0
  /** How many writes had left when the sink was first told to gather. */
  sentBeforeHold = 0

  hold(): void {
    if (this.held++ === 0) this.sentBeforeHold = this.framed.length
  }

  writeFrames(frames: Buffer): boolean {
    const text = frames.toString('latin1')
    this.framed.push(text)
    let at = 0
    while (at < text.length) {
      const sizeEnd = text.indexOf('\r\n', at)
      const size = Number.parseInt(text.slice(at, sizeEnd), 16)
      this.writes.push(Buffer.from(text.slice(sizeEnd + 2, sizeEnd + 2 + size), 'latin1').toString())
      at = sizeEnd + 2 + size + 2
    }
    return !this.full
  }
}

/** Starts an attempt whose engine sends reads of chunks. */
function start(call: Partial<Call> = {}) {
  const sink = new FramingSink()
  const attempt = startAttempt(call, { sink })
  attempt.engine.streams()
  const readOf = (...payloads: readonly string[]) => {
    const parts = payloads.map((text) => Buffer.from(text))
    const chunks = parts.map((part) =>
      Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])
    )
    const bytes = Buffer.concat(chunks)
    let at = 0
    chunks.forEach((chunk, index) => {
      const size = parts[index]?.length ?? 0
      const dataStart = at + chunk.length - 2 - size
      attempt.engine.handler.onData(bytes, dataStart, dataStart + size, at, at + chunk.length)
      at += chunk.length
    })
    attempt.engine.handler.onReadEnd()
  }
  return { ...attempt, sink, readOf }
}

describe('chunks of whole events', () => {
  it('of one read leave in one write', () => {
    const { sink, readOf } = start()
    readOf(TEXT('a'))
    readOf(TEXT('b'), TEXT('c'))
    expect([sink.framed.length, sink.text]).toEqual([2, TEXT('a') + TEXT('b') + TEXT('c')])
  })

  it('that end an answer leave together with its end, though the usage between them does not', () => {
    const { sink, readOf } = start({ hidesUsage: true })
    readOf(TEXT('a'))
    expect(sink.held).toBe(0)
    readOf(FINISH('stop'), USAGE(5, 1), DONE_EVENT)
    expect([sink.text, sink.ended]).toEqual([TEXT('a') + FINISH('stop') + DONE_EVENT, true])
    expect(sink.sentBeforeHold).toBe(1)
  })

  it('leave before an error that comes in the same read', async () => {
    const { sink, readOf, outcome } = start()
    readOf(TEXT('a'), TEXT('b'), ERROR_FRAME(500, 'boom'))
    await outcome
    expect(sink.text).toBe(TEXT('a') + TEXT('b'))
  })

  it('leave before the stream ends', () => {
    const { sink, readOf } = start()
    readOf(TEXT('a'), FINISH('stop'), DONE_EVENT)
    expect([sink.text, sink.ended]).toEqual([TEXT('a') + FINISH('stop') + DONE_EVENT, true])
  })

  it('leave when the connection breaks behind them in the same read', async () => {
    const { engine, sink, outcome } = start()
    const chunk = Buffer.from(`${TEXT('a').length.toString(16)}\r\n${TEXT('a')}\r\n`)
    engine.handler.onData(chunk, chunk.length - 2 - TEXT('a').length, chunk.length - 2, 0, chunk.length)
    engine.handler.onReadEnd()
    engine.handler.onError(new Error('response refused'))
    await outcome
    expect(sink.text).toBe(TEXT('a'))
  })

  it('pause the engine for a full reader, at the first one and later', () => {
    const { engine, sink, readOf } = start()
    for (const text of ['a', 'b', 'c']) {
      sink.full = true
      readOf(TEXT(text))
      expect(engine.paused).toBe(true)
      sink.drain()
      expect(engine.paused).toBe(false)
    }
  })

  it('are counted event by event, though two may share a chunk', () => {
    const { meter, sink, readOf } = start()
    readOf(TEXT('a'))
    readOf(TEXT('b') + TEXT('c'))
    readOf(TEXT('d'), TEXT('e') + TEXT('f') + TEXT('g'))
    expect([meter.finish({ kind: 'complete' }).outputTokens, sink.text]).toEqual([
      7,
      [...'abcdefg'].map((letter) => TEXT(letter)).join('')
    ])
  })

  it.each([
    ['responses', 'response.created', 'response.output_text.delta'],
    ['messages', 'message_start', 'content_block_delta']
  ] as const)('are counted in the words of %s, too', (api, first, delta) => {
    const { meter, sink, readOf } = start({ api })
    const named = (type: string) => `event: ${type}\ndata: ${JSON.stringify({ type })}\n\n`
    const reads = [[first], [delta], [delta], [delta, delta], ['ping'], [delta]].map((types) => types.map(named))
    for (const payloads of reads) readOf(...payloads)
    readOf(named(delta) + named(delta))
    expect(meter.finish({ kind: 'complete' }).outputTokens).toBe(7)
    expect(sink.text).toBe(reads.flat().join('') + named(delta) + named(delta))
  })

  it('are signs of life of the engine, and of what the reader gets', () => {
    const { watch, sink, readOf } = start()
    for (let atMs = 50; atMs <= 2_000; atMs += 50) {
      readOf(TEXT('a'))
      watch.tick(atMs)
    }
    expect([watch.stopped, sink.text]).toEqual([undefined, TEXT('a').repeat(40)])
    for (let atMs = 2_050; atMs <= 2_450; atMs += 50) watch.tick(atMs)
    expect(watch.stopped).toBeUndefined()
    watch.tick(2_500)
    expect(watch.stopped).toMatchObject({ error: { code: 'idle_timeout' } })
  })

  it('that are an error or an end are seen behind plain ones', async () => {
    const failed = start()
    failed.readOf(TEXT('a'))
    failed.readOf(TEXT('b'))
    failed.readOf(ERROR_FRAME(500, 'boom'))
    expect(await summary(failed)).toBe('upstream_error, engine fault')
    const ended = start()
    ended.readOf(TEXT('a'))
    ended.readOf(TEXT('b'))
    ended.readOf(FINISH('stop'))
    ended.readOf(DONE_EVENT)
    expect([ended.sink.text, ended.sink.ended]).toEqual([TEXT('a') + TEXT('b') + FINISH('stop') + DONE_EVENT, true])
  })
})

describe('chunks that are not whole events', () => {
  it('arrive in order with those that are, however events and chunks fall', async () => {
    const random = seeded(21)
    for (let round = 0; round < 300; round++) {
      const { engine, sink, meter, readOf, outcome } = start()
      const events = [ROLE(), ...Array.from({ length: 8 }, (_, i) => TEXT(`t${i}猫`)), FINISH('stop'), DONE_EVENT]
      const text = events.join('')
      const payloads: string[] = []
      for (let at = 0; at < text.length; ) {
        const whole = events.find((event) => text.startsWith(event, at))
        const size = whole !== undefined && random() < 0.6 ? whole.length : 1 + Math.floor(random() * 200)
        payloads.push(text.slice(at, at + size))
        at += size
      }
      while (payloads.length > 0) readOf(...payloads.splice(0, 1 + Math.floor(random() * 3)))
      engine.handler.onEnd()
      expect([sink.text, (await outcome).kind], `round ${round}`).toEqual([text, 'complete'])
      expect(meter.finish({ kind: 'complete' }).outputTokens, `round ${round}`).toBe(8)
    }
  })
})
