import { beforeEach, describe, expect, it } from 'vitest'
import { GatewayError } from '../../../gateway/errors.ts'
import { EventLog } from '../../../gateway/stream/event-log.ts'
import { Journal } from '../../../gateway/stream/journal.ts'
import { HEARTBEAT } from '../../../gateway/stream/sse.ts'
import { Viewer, type ViewerEnd } from '../../../gateway/stream/viewer.ts'
import { FakeSink, fakeCall } from '../../helpers/fakes.ts'

const OPTIONS = { retryMs: 500, heartbeatMs: 1_000, stalledMs: 3_000 }

let journal: Journal
let nowMs = 0
const ends: ViewerEnd[] = []
beforeEach(() => {
  const bounds = { maxEvents: 10, maxBytes: 10_000 }
  journal = new Journal('stream_1', fakeCall(), new EventLog(bounds, { exceeded: false, take() {}, give() {} }))
  nowMs = 0
  ends.length = 0
})

const write = (...events: string[]) => {
  for (const event of events) journal.write(Buffer.from(event))
  journal.flush()
}
const kept = () => journal.log.read(0, 1e6)?.bytes.toString() ?? ''

function view(after = 0, begins?: Journal): { viewer: Viewer; sink: FakeSink } {
  const sink = new FakeSink()
  const deps = { now: () => nowMs, onEnd: (_viewer: Viewer, end: ViewerEnd) => ends.push(end) }
  const viewer = new Viewer(journal.log, sink, { ...OPTIONS, after }, deps, begins)
  viewer.start()
  return { viewer, sink }
}

describe('a journal', () => {
  it('numbers every event in its last field, however many come at once and however their lines end', () => {
    write('data: a\n\nevent: b\ndata: c\n\n', 'data: d\r\n\r\n', 'id: 77\ndata: e\n\n')
    expect(kept()).toBe('data: a\nid: 1\n\nevent: b\ndata: c\nid: 2\n\ndata: d\r\nid: 3\n\nid: 77\ndata: e\nid: 4\n\n')
  })

  it('keeps no comment but the figures at the end, which have no number of their own', () => {
    write(HEARTBEAT.toString(), ': keep-alive\n\n', 'data: a\n\n', ': sluice tokens=1\n\n', 'data: [DONE]\n\n')
    expect(kept()).toBe('data: a\nid: 1\n\n: sluice tokens=1\ndata: [DONE]\nid: 2\n\n')
  })

  it('keeps an event that has a comment in front of its data', () => {
    write(': note\ndata: a\n\n', ': sluice tokens=1\n\n', ': note\r\ndata: [DONE]\r\n\r\n')
    expect(kept()).toBe(': note\ndata: a\nid: 1\n\n: sluice tokens=1\n: note\r\ndata: [DONE]\r\nid: 2\n\n')
  })

  it('lets the body of its request go, also when the request was refused', () => {
    journal.fail(new GatewayError('queue_timeout'), 0)
    expect(journal.call.body.bytes).toHaveLength(0)
  })

  it('never asks its engine to wait', () => {
    expect(journal.write(Buffer.from(`data: ${'x'.repeat(50_000)}\n\n`))).toBe(true)
  })

  it('ends with an error when it is cancelled, and closes the engine after that', () => {
    let keptThen = ''
    journal.onGone(() => {
      keptThen = kept()
    })
    journal.head(200, {})
    write('data: a\n\n')
    journal.cancel(new GatewayError('stream_cancelled'))
    expect(keptThen).toMatch(/^data: a\nid: 1\n\ndata: .*"stream_cancelled".*\nid: 2\n\ndata: \[DONE\]\nid: 3\n\n$/)
    expect([journal.state, journal.gone, journal.log.ended]).toEqual(['cancelled', true, true])
    write('data: late\n\n')
    journal.end()
    journal.fail(new GatewayError('upstream_error'), 1)
    expect([kept(), journal.state]).toEqual([keptThen, 'cancelled'])
  })
})

describe('a viewer', () => {
  it('gets the head at once, what there is, what comes, and the end', () => {
    write('data: a\n\n')
    const { sink } = view()
    expect([sink.status, sink.text]).toEqual([200, 'retry: 500\n\ndata: a\nid: 1\n\n'])
    write('data: b\n\n')
    expect(sink.text).toContain('data: b\nid: 2\n\n')
    journal.end()
    journal.flush()
    expect([sink.ended, ends]).toEqual([true, ['complete']])
  })

  it('that is full gets nothing more until it has drained, and then all of it once', () => {
    const { sink } = view()
    sink.full = true
    write('data: a\n\n')
    write('data: b\n\n', 'data: c\n\n')
    expect(sink.writes).toHaveLength(2)
    sink.drain()
    expect(sink.text).toBe('retry: 500\n\ndata: a\nid: 1\n\ndata: b\nid: 2\n\ndata: c\nid: 3\n\n')
  })

  it('is kept awake by heartbeats while nothing comes', () => {
    const { viewer, sink } = view()
    nowMs = 999
    viewer.tick(nowMs)
    expect(sink.text).not.toContain('heartbeat')
    nowMs = 1_000
    viewer.tick(nowMs)
    viewer.tick(nowMs)
    expect(sink.text).toBe('retry: 500\n\n: heartbeat\n')
  })

  it('that takes nothing for too long is given up, and the journal is not', () => {
    const { viewer, sink } = view()
    sink.full = true
    write('data: a\n\n')
    viewer.tick(3_000)
    expect(sink.failure).toBeUndefined()
    viewer.tick(3_001)
    expect(sink.failure?.code).toBe('slow_reader')
    expect([ends, journal.gone]).toEqual([['cut'], false])
  })

  it('that falls behind what is kept is told so, not skipped ahead', () => {
    const { sink } = view()
    sink.full = true
    write('data: 1\n\n')
    for (let i = 2; i < 20; i++) write(`data: ${i}\n\n`)
    sink.drain()
    expect(sink.failure?.code).toBe('stream_truncated')
    expect(sink.text).not.toContain('data: 19')
  })

  it('that has more than there will ever be is not told that this was all', () => {
    write('data: a\n\n')
    const { sink } = view(5)
    journal.end()
    journal.flush()
    expect([sink.ended, sink.failure?.code]).toEqual([false, 'stream_lost'])
  })

  it('that leaves is told of once, and gets nothing more', () => {
    const { sink } = view()
    sink.leave()
    write('data: a\n\n')
    expect([ends, sink.writes.length]).toEqual([['left'], 1])
  })

  it('that was gone before it began is told of, too', () => {
    const sink = new FakeSink()
    sink.left = true
    new Viewer(journal.log, sink, { ...OPTIONS, after: 0 }, { now: () => 0, onEnd: (_, end) => ends.push(end) }).start()
    expect([ends, sink.status]).toEqual([['left'], undefined])
  })
})

describe('the viewer whose request began the journal', () => {
  it('waits with its head for the answer, and has the answer’s headers', () => {
    const { viewer, sink } = view(0, journal)
    viewer.tick(60_000)
    expect(sink.status).toBeUndefined()
    journal.head(200, { 'server-timing': 'queue;dur=1' })
    write('data: a\n\n')
    expect([sink.status, sink.headers['server-timing']]).toEqual([200, 'queue;dur=1'])
    expect(sink.text).toBe('data: a\nid: 1\n\n')
  })

  it.each(['fails', 'is cancelled'])('gets a status when the request %s before there is an answer', (how) => {
    const { sink } = view(0, journal)
    if (how === 'fails') journal.fail(new GatewayError('queue_full'), 0)
    else journal.cancel(new GatewayError('stream_cancelled'))
    journal.flush()
    expect([sink.status, sink.failure?.code]).toEqual([undefined, how === 'fails' ? 'queue_full' : 'stream_cancelled'])
  })
})
