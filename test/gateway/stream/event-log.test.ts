import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../gateway/stream/event-log.ts'
import { seeded } from '../../helpers/fakes.ts'

/** A budget that is exceeded beyond `most` bytes. */
function budget(most = Number.POSITIVE_INFINITY) {
  const kept = { bytes: 0 }
  return {
    kept,
    take: (bytes: number) => {
      kept.bytes += bytes
    },
    give: (bytes: number) => {
      kept.bytes -= bytes
    },
    get exceeded() {
      return kept.bytes > most
    }
  }
}
const create = (maxEvents = 100, maxBytes = 100_000, shared = budget()) => new EventLog({ maxEvents, maxBytes }, shared)
const textOf = (log: EventLog, after: number, maxBytes = 1e6) => log.read(after, maxBytes)?.bytes.toString()
const add = (log: EventLog, ...texts: string[]) => {
  for (const text of texts) log.append(log.last + 1, Buffer.from(text))
}
const nextTick = () => new Promise((resolve) => setImmediate(resolve))

describe('an event log', () => {
  it('reads on from any event, and says how far it got', () => {
    const log = create()
    add(log, 'one ', 'two ', 'three ')
    expect(textOf(log, 0)).toBe('one two three ')
    expect(textOf(log, 1)).toBe('two three ')
    expect(log.read(0, 5)).toMatchObject({ last: 2 })
    expect(log.read(3, 5)).toBeUndefined()
    expect(log.read(9, 5)).toBeUndefined()
  })

  it('joins the parts of an event, and keeps a copy of what was lent', () => {
    const [log, lent] = [create(), Buffer.from('lent')]
    log.append(1, lent, Buffer.from(' parts'))
    lent.fill(0)
    expect(textOf(log, 0)).toBe('lent parts')
  })

  it('holds an event that is larger than a piece of its memory', () => {
    const log = create()
    add(log, 'a', 'b'.repeat(20_000), 'c')
    expect(textOf(log, 0)).toBe(`a${'b'.repeat(20_000)}c`)
  })

  it.each([
    ['events', create(3)],
    ['bytes', create(100, 12)],
    ['bytes of all logs', create(100, 100_000, budget(12))]
  ])('forgets its oldest events beyond the bound of %s, and only for who has not read them', (_bound, log) => {
    add(log, 'one ', 'two ', 'tre ', 'for ', 'fiv ')
    expect([log.first, log.last, log.bytes]).toEqual([3, 5, 12])
    expect([log.continues(1), log.continues(2), log.continues(5), log.continues(6)]).toEqual([false, true, true, true])
    expect(textOf(log, 2)).toBe('tre for fiv ')
  })

  it('keeps its newest event whatever the bounds are', () => {
    const log = create(1, 1, budget(0))
    add(log, 'one ', 'two ')
    expect(textOf(log, 1)).toBe('two ')
  })

  it('begins anew behind a gap', () => {
    const log = create()
    add(log, 'one ')
    log.append(7, Buffer.from('seven '))
    expect([log.first, log.last, log.continues(1)]).toEqual([7, 7, false])
    expect(textOf(log, 6)).toBe('seven ')
  })

  it('tells its followers once a tick, or at once when asked, and of its end', async () => {
    const log = create()
    let told = 0
    const listener = () => told++
    log.follow(listener)
    add(log, 'one ', 'two ')
    expect(told).toBe(0)
    await nextTick()
    expect(told).toBe(1)
    add(log, 'three ')
    log.announce()
    log.announce()
    expect(told).toBe(2)
    log.end()
    log.end()
    await nextTick()
    expect(told).toBe(3)
    log.unfollow(listener)
    add(log, 'four ')
    await nextTick()
    expect(told).toBe(3)
  })

  it('gives back all that it took', () => {
    const shared = budget()
    const log = create(10, 100, shared)
    for (let i = 0; i < 5_000; i++) add(log, `event ${i} `)
    expect(shared.kept.bytes).toBe(log.bytes)
    log.clear()
    expect([shared.kept.bytes, log.bytes, log.first]).toEqual([0, 0, log.last + 1])
  })

  it('is the same as a list of texts, whatever is added and read', () => {
    const random = seeded(11)
    const [log, texts] = [create(50, 1_000), [] as string[]]
    for (let i = 0; i < 3_000; i++) {
      const text = `${i}:${'x'.repeat(Math.floor(random() * 40))} `
      texts.push(text)
      add(log, text)
      const after = log.first - 1 + Math.floor(random() * (log.last - log.first + 2))
      expect(textOf(log, after) ?? '').toBe(texts.slice(after).join(''))
    }
    expect(log.last - log.first).toBeLessThan(50)
  })
})
