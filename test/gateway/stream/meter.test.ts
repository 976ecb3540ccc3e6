// What one request measured, on a clock that the test moves.
import { describe, expect, it } from 'vitest'
import type { Call } from '../../../gateway/call.ts'
import { ChunksReader } from '../../../gateway/stream/chunks-reader.ts'
import { Meter } from '../../../gateway/stream/meter.ts'
import { fakeCall, TEXT, USAGE } from '../../helpers/fakes.ts'

function start(call: Partial<Call> = {}) {
  const clock = { nowMs: 100 }
  return { clock, meter: new Meter(fakeCall({ acceptedAtMs: 100, ...call }), () => clock.nowMs) }
}

function readerOf(...events: readonly string[]): ChunksReader {
  const reader = new ChunksReader()
  for (const event of events) reader.read(Buffer.from(event), 0, Buffer.byteLength(event))
  return reader
}

/** A streamed answer: admitted at 150, first token at 300, last at 400, over at 410. */
function stream(reader: ChunksReader, call: Partial<Call> = {}) {
  const { clock, meter } = start(call)
  clock.nowMs = 150
  meter.admitted()
  meter.attempt('a:8000')
  meter.follow(reader)
  clock.nowMs = 300
  meter.firstToken()
  clock.nowMs = 400
  meter.lastToken()
  clock.nowMs = 410
  return meter.finish({ kind: 'complete' })
}

describe('a streamed answer', () => {
  const tokens = [TEXT('a'), TEXT('b'), TEXT('c'), TEXT('d'), TEXT('e')]

  it('has its wait, its time to the first token and its duration from acceptance on', () => {
    expect(stream(readerOf(...tokens))).toMatchObject({ queuedMs: 50, ttftMs: 200, durationMs: 310 })
  })

  it('has the mean time between its tokens', () => {
    expect(stream(readerOf(...tokens)).interTokenMs).toBe(25)
  })

  it('has the mean by the count of the engine where there is one', () => {
    expect(stream(readerOf(...tokens, USAGE(9, 11)))).toMatchObject({
      interTokenMs: 10,
      outputTokens: 11,
      promptTokens: 9
    })
  })

  it('has the mean of one choice where several came side by side', () => {
    expect(stream(readerOf(...tokens, USAGE(9, 22)), { choices: 2 }).interTokenMs).toBe(10)
  })

  it('of one token has no time between tokens', () => {
    expect(stream(readerOf(TEXT('a'))).interTokenMs).toBeUndefined()
  })

  it('has the first of several first tokens', () => {
    const { clock, meter } = start()
    clock.nowMs = 120
    meter.firstToken()
    clock.nowMs = 500
    meter.firstToken()
    expect(meter.finish({ kind: 'complete' }).ttftMs).toBe(20)
  })

  it('that breaks has the time between tokens up to its end', () => {
    const { clock, meter } = start()
    meter.follow(readerOf(...tokens))
    meter.firstToken()
    clock.nowMs = 180
    expect(meter.finish({ kind: 'client_gone' }).interTokenMs).toBe(20)
  })
})

describe('other requests', () => {
  it('that never got their turn have waited all the time', () => {
    const { clock, meter } = start()
    clock.nowMs = 900
    expect(meter.finish({ kind: 'client_gone' })).toMatchObject({
      queuedMs: 800,
      attempts: 0,
      endpoint: undefined,
      ttftMs: undefined,
      outputTokens: 0
    })
  })

  it('that asked several engines name the last', () => {
    const { meter } = start()
    meter.attempt('a:8000')
    meter.attempt('b:8000')
    expect(meter.finish({ kind: 'complete' })).toMatchObject({ endpoint: 'b:8000', attempts: 2 })
  })

  it('do not count the tokens of an attempt that was given up', () => {
    const { meter } = start()
    meter.attempt('a:8000')
    meter.follow(readerOf(TEXT('a'), USAGE(1, 1)))
    meter.attempt('b:8000')
    expect(meter.finish({ kind: 'complete' })).toMatchObject({ outputTokens: 0, promptTokens: undefined })
  })

  it('that came in one piece have the counts of the engine and no time to a first token', () => {
    const { meter } = start({ stream: false })
    meter.whole({ promptTokens: 4, completionTokens: 6 })
    expect(meter.finish({ kind: 'complete' })).toMatchObject({ promptTokens: 4, outputTokens: 6, ttftMs: undefined })
  })
})
