import { describe, expect, it } from 'vitest'
import { figuresOf, gapsOf, readGatewayFigures, readQueueMs } from '../../../gateway/console/figures.js'

describe('the figures of an answer', () => {
  it('are those that a reader feels', () => {
    const arrivalsMs = [100, 110, 120, 130, 180]
    expect(gapsOf(arrivalsMs)).toEqual([10, 10, 10, 50])
    expect(figuresOf(arrivalsMs)).toEqual({
      ttftMs: 100,
      tokens: 5,
      tokensPerSecond: 50,
      medianGapMs: 10,
      p95GapMs: 50,
      longestGapMs: 50
    })
  })

  it('believe the engine in how many tokens there were', () => {
    expect(figuresOf([100, 200], 21)).toMatchObject({ tokens: 21, tokensPerSecond: 200 })
  })

  it('are not there before anything has come, and no rate comes of one piece', () => {
    expect(figuresOf([])).toMatchObject({ ttftMs: undefined, tokens: 0, tokensPerSecond: undefined })
    expect(figuresOf([50])).toMatchObject({
      ttftMs: 50,
      tokens: 1,
      tokensPerSecond: undefined,
      longestGapMs: undefined
    })
  })
})

describe('what the gateway tells', () => {
  it('is read from the comment at the end of a stream', () => {
    expect(readGatewayFigures('sluice ttft_ms=48.2 tokens=60 tokens_per_second=81.3')).toEqual({
      ttftMs: 48.2,
      tokens: 60,
      tokensPerSecond: 81.3
    })
    expect(readGatewayFigures('heartbeat')).toBeUndefined()
  })

  it('is read from Server-Timing', () => {
    expect(readQueueMs('queue;dur=12.5, connect;dur=0.3')).toBe(12.5)
    expect(readQueueMs('connect;dur=0.3')).toBeUndefined()
    expect(readQueueMs(null)).toBeUndefined()
  })
})
