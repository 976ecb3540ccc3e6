// The order of requests on one connection.
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Job, Lanes } from '../../../../gateway/routes/websocket/lanes.ts'

const job = (lane: string | undefined, bytes = 1): Job => ({ lane, bytes })

function create(limits = { maxRunning: 2, maxWaitingBytes: 1_000 }) {
  const started: Job[] = []
  return { started, lanes: new Lanes<Job>(limits, (next) => started.push(next)) }
}

describe('lanes', () => {
  it('start one job each, and the next when it has ended', async () => {
    const { started, lanes } = create()
    const [first, second, other] = [job('a'), job('a'), job('b')]
    for (const one of [first, second, other]) lanes.add(one)
    expect(started).toEqual([first, other])
    lanes.end(first)
    expect(started).toEqual([first, other])
    await turn()
    expect(started).toEqual([first, other, second])
    expect(lanes.find('a')).toBe(second)
  })

  it('start no more than may run, and then who waits longest of those that may', async () => {
    const { started, lanes } = create()
    const jobs = [job('a'), job('b'), job('a'), job('c'), job(undefined)]
    for (const one of jobs) lanes.add(one)
    expect(lanes.running).toBe(2)
    lanes.end(jobs[1] as Job)
    await turn()
    expect(started.at(-1)).toBe(jobs[3])
    lanes.end(jobs[0] as Job)
    await turn()
    expect(started.at(-1)).toBe(jobs[2])
  })

  it('go on when a job ends while it is started, however many do', async () => {
    const started: Job[] = []
    const lanes: Lanes<Job> = new Lanes({ maxRunning: 1, maxWaitingBytes: 1_000 }, (next) => {
      started.push(next)
      if (next !== first) lanes.end(next)
    })
    const first = job('a')
    const others = [job('a'), job('b'), job('a'), job(undefined)]
    for (const one of [first, ...others]) lanes.add(one)
    lanes.end(first)
    for (const _ of others) await turn()
    expect(started).toEqual([first, ...others])
    expect(lanes.running).toBe(0)
  })

  it('refuse what waits beyond its bytes, and take more once it has gone', async () => {
    const { started, lanes } = create({ maxRunning: 1, maxWaitingBytes: 10 })
    const first = job('a')
    lanes.add(first)
    lanes.add(job('a', 8))
    expect(() => lanes.add(job('a', 3))).toThrow(/^1 requests wait/)
    lanes.end(first)
    await turn()
    lanes.add(job('a', 3))
    expect(started.length).toBe(2)
  })

  it('give back what waits, and what ends twice ends once', () => {
    const { started, lanes } = create({ maxRunning: 1, maxWaitingBytes: 10 })
    const [first, second] = [job('a', 5), job('a', 5)]
    lanes.add(first)
    lanes.add(second)
    expect(lanes.clear()).toEqual([second])
    lanes.end(first)
    lanes.end(first)
    expect([started.length, lanes.running]).toEqual([1, 0])
    lanes.add(job('a', 10))
    expect(started.length).toBe(2)
  })
})
