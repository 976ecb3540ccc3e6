import { describe, expect, it } from 'vitest'
import { describeJudgement, judgeBuffering } from '../../../gateway/console/buffering.js'

const TOKENS = 60
/** What a gateway measured that sent 60 tokens, 20 ms apart, the first after 50 ms. */
const gateway = { ttftMs: 50, tokens: TOKENS, tokensPerSecond: 50 }

const every = (gapMs: number, firstMs = 55) => Array.from({ length: TOKENS }, (_, index) => firstMs + index * gapMs)
/** Pieces that are passed on `size` at a time, when the last of them has come. */
const inClumps = (size: number) =>
  Array.from({ length: TOKENS }, (_, index) => 55 + (Math.floor(index / size) + 1) * size * 20 + (index % size) * 0.1)

describe('judging whether something on the way buffers', () => {
  it.each([
    ['pieces come as they left', every(20), 'live'],
    ['pieces come as they left, over a network with jitter', every(20).map((at, i) => at + (i % 3) * 12), 'live'],
    ['a slow network delays all of them alike', every(20, 800), 'live'],
    ['all come at once, after the last one has left', every(0.1, 1240), 'held'],
    ['all come at once, and slowly', every(3, 1100), 'held'],
    ['they come ten at a time', inClumps(10), 'clumped'],
    ['they come in two halves', inClumps(30), 'clumped'],
    ['there are too few', every(20).slice(0, 5), 'unknown']
  ] as const)('compares with the gateway: %s', (_, arrivalsMs, verdict) => {
    expect(judgeBuffering({ arrivalsMs, gateway })).toMatchObject({ verdict, isMeasured: true })
  })

  it('does not take an engine for a buffer that is so fast that all comes at once anyway', () => {
    const fast = { ttftMs: 50, tokens: TOKENS, tokensPerSecond: 2_000 }
    expect(judgeBuffering({ arrivalsMs: every(0.5), gateway: fast }).verdict).toBe('unknown')
  })

  it.each([
    ['pieces come one by one', every(20), undefined, 'live'],
    ['a fast engine writes them close together', every(1.5), undefined, 'live'],
    ['a fast engine begins after a long wait in the queue', every(1.5, 2_060), 2_000, 'live'],
    ['a long silence, then all at once', every(0.1, 1_240), undefined, 'held'],
    ['they come ten at a time', inClumps(10), undefined, 'clumped'],
    ['there are none', [], undefined, 'unknown']
  ] as const)('judges by the pattern alone where the gateway tells nothing: %s', (_, arrivalsMs, queueMs, verdict) => {
    expect(judgeBuffering({ arrivalsMs, queueMs })).toMatchObject({ verdict, isMeasured: false })
  })

  it('says what was seen, and what to do', () => {
    const judgement = judgeBuffering({ arrivalsMs: every(0.1, 1_240), gateway })
    expect(describeJudgement(judgement, TOKENS)).toEqual({
      headline: 'Something on the way is buffering the answer.',
      evidence:
        'The gateway sent it over 1.2 s; it began 1.2 s late and arrived all at once. ' +
        'Turn response buffering off in every proxy between this page and the gateway, for /v1 at least.'
    })
    const live = judgeBuffering({ arrivalsMs: every(20), gateway })
    expect(describeJudgement(live, TOKENS).evidence).toBe(
      '60 pieces arrived at 60 moments, 5 ms after the gateway sent them.'
    )
  })
})
