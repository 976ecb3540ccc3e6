// What connections remember: how it is added up, bounded, and told apart.
import { describe, expect, it } from 'vitest'
import { ConnectionHistory, Histories, joinItems } from '../../../../gateway/routes/websocket/histories.ts'

const bytes = (text: string) => Buffer.from(text)
const saying = (history: ConnectionHistory, lane: string | undefined, id: string, input: string, output = '') =>
  history.keep(lane, history.begin(bytes(input)), id, bytes(output))

describe('items', () => {
  it.each([
    ['1', '2', '1,2'],
    ['', '2', '2'],
    ['1', '', '1'],
    ['', '', '']
  ])('%j and %j are %j', (first, second, joined) => {
    expect(String(joinItems(bytes(first), bytes(second)))).toBe(joined)
  })
})

describe('a history', () => {
  it('has input and output of a lane’s newest response, and gives the older one’s room back', () => {
    const histories = new Histories(100)
    const ours = new ConnectionHistory(histories)
    saying(ours, 'a', 'r1', '1', '2')
    expect(String(ours.find('r1'))).toBe('1,2')
    saying(ours, 'a', 'r2', '1,2,3', '4')
    expect([ours.find('r1'), String(ours.find('r2'))]).toEqual([undefined, '1,2,3,4'])
    expect(histories.bytes).toBe(7)
  })

  it('counts what is under way, and no longer once that has failed', () => {
    const histories = new Histories(100)
    const ours = new ConnectionHistory(histories)
    const turn = ours.begin(bytes('12345'))
    expect(histories.bytes).toBe(5)
    ours.drop(turn)
    expect(histories.bytes).toBe(0)
  })

  it('has nothing of an input without items, and forgets what the lane had before', () => {
    const ours = new ConnectionHistory(new Histories(100))
    saying(ours, 'a', 'r1', '1')
    ours.keep('a', ours.begin(undefined), 'r2', bytes('2'))
    expect([ours.find('r1'), ours.find('r2')]).toEqual([undefined, undefined])
  })

  it('forgets for a lane only what is that lane’s', () => {
    const ours = new ConnectionHistory(new Histories(100))
    saying(ours, 'a', 'r1', '1')
    ours.forget('b', 'r1')
    expect(String(ours.find('r1'))).toBe('1')
    ours.forget('a', 'r1')
    expect(ours.find('r1')).toBeUndefined()
  })

  it('is cleared with its connection, and leaves the others’', () => {
    const histories = new Histories(100)
    const [ours, others] = [new ConnectionHistory(histories), new ConnectionHistory(histories)]
    saying(ours, 'a', 'r1', '123')
    ours.begin(bytes('45'))
    saying(others, 'a', 'r1', '6')
    ours.clear()
    expect(histories.bytes).toBe(1)
    expect(String(others.find('r1'))).toBe('6')
  })
})

describe('the bound over all connections', () => {
  it('counts all the memory that is held: a short response keeps no larger block alive', () => {
    const ours = new ConnectionHistory(new Histories(1_000))
    saying(ours, 'a', 'r1', '1', '2')
    expect(ours.find('r1')?.buffer.byteLength).toBe(3)
  })

  it('forgets what was used longest ago, and what is used stays', () => {
    const histories = new Histories(10)
    const ours = new ConnectionHistory(histories)
    saying(ours, 'a', 'ra', '1234')
    saying(ours, 'b', 'rb', '1234')
    ours.find('ra')
    saying(ours, 'c', 'rc', '1234')
    expect([ours.find('ra'), ours.find('rb'), ours.find('rc')].map((items) => items?.length)).toEqual([4, undefined, 4])
    expect(histories.bytes).toBe(8)
  })

  it('holds for one response that is larger than everything may be, and for output that makes it so', () => {
    const histories = new Histories(10)
    const ours = new ConnectionHistory(histories)
    saying(ours, 'a', 'r1', 'x'.repeat(11))
    saying(ours, 'b', 'r2', 'x'.repeat(9), 'yy')
    expect([ours.find('r1'), ours.find('r2')]).toEqual([undefined, undefined])
    expect(histories.bytes).toBe(0)
  })
})
