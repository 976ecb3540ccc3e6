// The memory that request bodies hold while they wait: bounded, and given back when an answer begins or a client leaves.
import { describe, expect, it } from 'vitest'
import { chat, jsonOf, openChat } from '../helpers/client.ts'
import { startBy, until, WAYS } from '../helpers/gateway.ts'

const LARGE = {
  messages: [{ role: 'user', content: 'x'.repeat(60_000) }],
  max_tokens: 20_000,
  ignore_eos: true,
  stream: true
}

describe.each(WAYS)('bodies of requests that wait, by way of %s,', (way) => {
  it('fill the memory that there is for them; the next is told to come back, and room that is given back is used', async () => {
    const pool = { maxActivePerEngine: 1 }
    await using gateway = await startBy(way)({ pool, config: { maxHeldBytes: 200_000 } })
    const ask = () => openChat(gateway.address, { body: LARGE })
    const untilQueued = (count: number) =>
      until(`${count} wait`, async () => (await gateway.metric('sluice_queued_requests')) === count)
    const running = ask()
    // its answer has begun, so its body is held no more
    await running.head
    const waiting = [ask(), ask(), ask()]
    await untilQueued(3)
    const refused = await chat(gateway.address, { body: LARGE })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '2'])
    expect((await jsonOf(refused)).error).toMatchObject({ code: 'memory_full', type: 'rate_limit_error' })
    waiting.pop()?.leave()
    await untilQueued(2)
    waiting.push(ask())
    await untilQueued(3)
    for (const request of [running, ...waiting]) request.leave()
    await untilQueued(0)
    expect((await chat(gateway.address, { body: { ...LARGE, max_tokens: 2 } })).status).toBe(200)
  })
})
