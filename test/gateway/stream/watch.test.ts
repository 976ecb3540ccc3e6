// The timers of a request, on a clock that the test moves.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Call } from '../../../gateway/call.ts'
import { GatewayError } from '../../../gateway/errors.ts'
import { relay } from '../../../gateway/stream/relay.ts'
import { Roster } from '../../../gateway/stream/roster.ts'
import { createWatches, Watch } from '../../../gateway/stream/watch.ts'
import { FakeEngine, FakeSink, fakeCall, ROLE, TEXT } from '../../helpers/fakes.ts'
import { startAttempt, TIMERS } from '../../helpers/relay.ts'

const HEARTBEAT = ': heartbeat\n\n'

function start(call: Partial<Call> = {}, nowMs = 0) {
  const sink = new FakeSink()
  const open = new Roster<Watch>()
  return { sink, open, watch: new Watch(fakeCall(call), sink, TIMERS, open, nowMs) }
}

/** The code of the error with which a watch stopped. */
const codeOf = ({ stopped }: Watch) => (stopped?.kind === 'error' ? stopped.error.code : stopped?.kind)

/** Ticks every 50 ms and says when and why the watch stops. */
function runUntilStopped(watch: Watch, fromMs = 0, toMs = 20_000): string {
  for (let at = fromMs; at <= toMs; at += 50) {
    watch.tick(at)
    if (watch.stopped !== undefined) return `${codeOf(watch)} at ${at}`
  }
  return `still open at ${toMs}`
}

describe('a deadline', () => {
  it('of the whole request ends a streamed one, however it goes', () => {
    const { watch } = start()
    expect(runUntilStopped(watch)).toBe('stream_timeout at 10050')
  })

  it('of the whole request counts from its acceptance', () => {
    const { watch } = start({ acceptedAtMs: -9_000 })
    expect(runUntilStopped(watch)).toBe('stream_timeout at 1050')
  })

  it('of the first token counts from when an engine was asked', () => {
    const { watch } = start()
    watch.tick(3_000)
    watch.enter('first-token')
    expect(runUntilStopped(watch, 3_000)).toBe('ttft_timeout at 4050')
  })

  it('of silence counts from the last thing that moved', () => {
    const { watch } = start()
    watch.enter('streaming')
    watch.tick(400)
    watch.moved()
    expect(runUntilStopped(watch, 400)).toBe('idle_timeout at 950')
  })

  it('of a stalled reader counts from its pause', () => {
    const { watch } = start()
    watch.enter('streaming')
    watch.tick(200)
    watch.enter('paused')
    expect(runUntilStopped(watch, 200)).toBe('slow_reader at 550')
  })

  it('of silence does not run while the reader is what is waited for', () => {
    const { watch } = start()
    watch.enter('streaming')
    watch.enter('paused')
    watch.tick(250)
    watch.enter('streaming')
    expect(runUntilStopped(watch, 250)).toBe('idle_timeout at 800')
  })

  it.each([
    ['first-token', 'stream_timeout at 10050'],
    ['streaming', 'stream_timeout at 10050'],
    ['paused', 'slow_reader at 350']
  ] as const)('of an answer in one piece, in the phase %s: %s', (phase, expected) => {
    const { watch } = start({ stream: false })
    watch.enter(phase)
    expect(runUntilStopped(watch)).toBe(expected)
  })

  it.each([
    ['ttft_timeout', 'first-token', true],
    ['idle_timeout', 'streaming', true],
    ['slow_reader', 'paused', false]
  ] as const)('%s says whether the engine is at fault', (_code, phase, engineFault) => {
    const { watch } = start()
    watch.enter(phase)
    runUntilStopped(watch)
    expect(watch.stopped).toMatchObject({ engineFault, retryable: false })
  })
})

describe('a second engine', () => {
  it('has the whole time to the first token for itself', () => {
    const { engine, watch, sink } = startAttempt()
    watch.tick(900)
    engine.handler.onError(new Error('refused'))
    void relay(new FakeEngine().open, watch.call, sink, watch, startAttempt().meter)
    expect(runUntilStopped(watch, 900)).toBe('ttft_timeout at 1950')
  })
})

describe('a reader that drains', () => {
  it('while the first token is waited for leaves that deadline as it is', () => {
    const { sink, watch } = startAttempt()
    sink.drain()
    expect(runUntilStopped(watch)).toBe('ttft_timeout at 1050')
  })
})

describe('the heartbeat', () => {
  it('comes when nothing was sent for its interval', () => {
    const { watch, sink } = start()
    for (const at of [50, 99, 100, 150, 199, 200]) watch.tick(at)
    expect(sink.writes).toEqual([HEARTBEAT, HEARTBEAT])
  })

  it('does not come while events do', () => {
    const { watch, sink } = start()
    watch.enter('streaming')
    for (let at = 0; at < 1_000; at += 50) {
      watch.tick(at)
      watch.moved()
    }
    expect(sink.writes).toEqual([])
  })

  it('brings the head of an event stream with it', () => {
    const { watch, sink } = start()
    watch.tick(100)
    expect([sink.status, sink.headers['content-type']]).toEqual([200, 'text/event-stream'])
  })

  it('brings no second head', () => {
    const { engine, sink, watch } = startAttempt()
    engine.streams().says(ROLE(), TEXT('a'))
    watch.tick(150)
    expect(sink.writes.at(-1)).toBe(HEARTBEAT)
  })

  it('does not come for a full reader', () => {
    const { watch, sink } = start()
    watch.enter('paused')
    watch.tick(200)
    expect(sink.writes).toEqual([])
  })

  it('does not come in an answer that is not streamed', () => {
    const { watch, sink } = start({ stream: false })
    watch.tick(5_000)
    expect([sink.headSent, sink.writes]).toEqual([false, []])
  })

  it('does not come after a request has stopped', () => {
    const { watch, sink } = start()
    watch.stop({ kind: 'client_gone' })
    watch.tick(5_000)
    expect(sink.writes).toEqual([])
  })

  it('does not put off a deadline', () => {
    const { watch } = start()
    watch.enter('first-token')
    expect(runUntilStopped(watch)).toBe('ttft_timeout at 1050')
  })
})

describe('the reason to stop', () => {
  it('is the first one', () => {
    const { watch, sink } = start()
    sink.leave()
    watch.stop({ kind: 'error', error: new GatewayError('idle_timeout'), engineFault: true, retryable: false })
    expect(watch.stopped).toEqual({ kind: 'client_gone' })
  })

  it('is told once', () => {
    const { watch, sink } = start()
    const heard = vi.fn()
    watch.onStop(heard)
    sink.leave()
    sink.leave()
    expect(heard.mock.calls).toEqual([[{ kind: 'client_gone' }]])
  })

  it('is told at once to a listener that comes late', () => {
    const { watch, sink } = start()
    sink.leave()
    const heard = vi.fn()
    watch.onStop(heard)
    expect(heard.mock.calls).toEqual([[{ kind: 'client_gone' }]])
  })

  it('is told to the newest listener only', () => {
    const { watch, sink } = start()
    const [old, young] = [vi.fn(), vi.fn()]
    watch.onStop(old)
    watch.onStop(young)
    sink.leave()
    expect([old.mock.calls.length, young.mock.calls.length]).toEqual([0, 1])
  })

  it('is there from the start for a reader that has left before', () => {
    const sink = new FakeSink()
    sink.left = true
    expect(new Watch(fakeCall(), sink, TIMERS, new Roster(), 0).stopped).toEqual({ kind: 'client_gone' })
  })
})

describe('all watches', () => {
  let nowMs = 0
  beforeEach(() => {
    nowMs = 0
    vi.useFakeTimers()
  })
  afterEach(() => void vi.useRealTimers())
  const create = () => createWatches(TIMERS, { now: () => nowMs })
  const pass = (ms: number) => {
    for (let at = 0; at < ms; at += 25) {
      nowMs += 25
      vi.advanceTimersByTime(25)
    }
  }

  it('tick by themselves, at most a quarter of the shortest time late', () => {
    const watches = create()
    const watch = watches.start(fakeCall(), new FakeSink())
    watch.enter('first-token')
    pass(1_025)
    expect(codeOf(watch)).toBe('ttft_timeout')
  })

  it('do not tick any more when closed', () => {
    const watches = create()
    const sink = new FakeSink()
    watches.start(fakeCall(), sink)
    watches.close()
    pass(1_000)
    expect(sink.writes).toEqual([])
  })

  it('count a request until it is disposed', () => {
    const watches = create()
    const [first] = [watches.start(fakeCall(), new FakeSink()), watches.start(fakeCall(), new FakeSink())]
    const before = watches.size
    first?.[Symbol.dispose]()
    expect([before, watches.size]).toEqual([2, 1])
  })

  it('leave a disposed request alone', () => {
    const watches = create()
    const sink = new FakeSink()
    watches.start(fakeCall(), sink)[Symbol.dispose]()
    pass(1_000)
    expect(sink.writes).toEqual([])
  })

  it('stop all with the same error', () => {
    const watches = create()
    const open = [watches.start(fakeCall(), new FakeSink()), watches.start(fakeCall(), new FakeSink())]
    watches.stopAll(new GatewayError('shutting_down'))
    expect(open.map(codeOf)).toEqual(['shutting_down', 'shutting_down'])
  })
})
