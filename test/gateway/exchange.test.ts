// One request from admission to outcome over fake engines: what is retried, what is given back, what is recorded.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../gateway/errors.ts'
import {
  answers,
  type Behaviour,
  blames,
  breaksLate,
  givesUp,
  hangs,
  refusesConnection,
  run,
  settle
} from '../helpers/exchange.ts'
import { DONE_EVENT, FakeSink, FINISH, ROLE, TEXT } from '../helpers/fakes.ts'

describe('a request', () => {
  it('is answered by one engine', async () => {
    const { outcome, sink, asked } = run([answers, answers])
    expect([await outcome, asked, sink.text]).toEqual([
      { kind: 'complete' },
      ['a'],
      ROLE() + TEXT('a') + FINISH('stop') + DONE_EVENT
    ])
  })

  it.each([
    ['refuses the connection', refusesConnection],
    ['gives up before its first token', givesUp]
  ])('goes to the next engine where one %s', async (_how, fails) => {
    const { outcome, sink, asked } = run([fails, answers])
    expect([await outcome, asked, sink.text]).toEqual([
      { kind: 'complete' },
      ['a', 'b'],
      ROLE() + TEXT('a') + FINISH('stop') + DONE_EVENT
    ])
  })

  it('has its whole body for each engine that is asked, and none once one has begun to answer', async () => {
    const { outcome, call, bodies } = run([givesUp, refusesConnection, answers])
    await outcome
    expect([bodies, call.body.bytes.length]).toEqual([Array(3).fill('{"model":"m"}'), 0])
  })

  it('never goes to another engine after the first token', async () => {
    const { outcome, asked, sink } = run([breaksLate, answers])
    await outcome
    expect([asked, sink.text, sink.failure?.code]).toEqual([['a'], ROLE() + TEXT('a'), 'upstream_error'])
  })

  it('never goes to another engine when it is itself at fault', async () => {
    const { outcome, asked, sink } = run([blames, answers])
    await outcome
    expect([asked, sink.failure?.message]).toEqual([['a'], 'too long'])
  })

  it('goes to no more engines than it may', async () => {
    const { outcome, asked } = run([refusesConnection, refusesConnection, answers], new FakeSink(), 2)
    await outcome
    expect(asked).toEqual(['a', 'b'])
  })

  it('that no engine answers fails once', async () => {
    const { outcome, sink, asked } = run([refusesConnection, refusesConnection])
    await outcome
    expect([asked, sink.failure?.code]).toEqual([['a', 'b'], 'upstream_error'])
  })

  it('without any engine is refused', async () => {
    const { outcome, sink } = run([])
    await outcome
    expect(sink.failure?.code).toBe('no_engine')
  })

  it('whose reader leaves is over, and its reader is told nothing', async () => {
    const { outcome, sink } = run([hangs])
    await settle()
    sink.leave()
    expect([await outcome, sink.failure]).toEqual([{ kind: 'client_gone' }, undefined])
  })

  it('whose reader left before it began asks nobody', async () => {
    const sink = new FakeSink()
    sink.left = true
    const { outcome, asked } = run([answers], sink)
    expect([await outcome, asked]).toEqual([{ kind: 'client_gone' }, []])
  })

  it('that is stopped from outside tells its reader why', async () => {
    const { outcome, sink, watches } = run([hangs])
    await settle()
    watches.stopAll(new GatewayError('shutting_down'))
    await outcome
    expect(sink.failure?.code).toBe('shutting_down')
  })

  it('in which something breaks tells its reader nothing of it', async () => {
    const { outcome, sink } = run([
      () => {
        throw new Error('a mistake of ours')
      }
    ])
    await outcome
    expect(sink.failure?.message).toBe('The gateway failed. The request id is in the header.')
  })
})

describe('however a request ends', () => {
  it('whatever its sink throws is told as a fault, and rejects nothing', async () => {
    const cause = new Error('no socket')
    class BrokenSink extends FakeSink {
      override fail(): void {
        throw cause
      }
    }
    const { outcome, call, faults, held } = run([], new BrokenSink())
    expect((await outcome).kind).toBe('error')
    expect([faults, held()]).toEqual([[[call.id, cause]], [0, 0, 0]])
  })

  it.each<[string, readonly Behaviour[], string]>([
    ['complete', [answers], 'complete'],
    ['after a retry', [refusesConnection, answers], 'complete'],
    ['with an error', [breaksLate], 'error'],
    ['refused by its engine', [blames], 'error'],
    [
      'by a mistake of ours',
      [
        () => {
          throw new Error('a mistake')
        }
      ],
      'error'
    ]
  ])('%s, everything is given back and it is recorded once', async (_how, behaviours, kind) => {
    const { outcome, held, records } = run(behaviours)
    await outcome
    expect([held(), records.map((record) => record.outcome.kind)]).toEqual([[0, 0, 0], [kind]])
  })

  it('with its reader gone, everything is given back', async () => {
    const { outcome, sink, held } = run([hangs])
    await settle()
    const before = held()
    sink.leave()
    await outcome
    expect([before, held()]).toEqual([
      [1, 1, 1],
      [0, 0, 0]
    ])
  })

  it('the record names the engine that was asked last and how many were', async () => {
    const { outcome, records } = run([refusesConnection, answers])
    await outcome
    expect(records).toMatchObject([{ endpoint: 'b', attempts: 2 }])
  })
})
