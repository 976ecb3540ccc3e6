// Streams through a real HAProxy, as both of its controllers configure it.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deriveTimeBudget, PORTS, timeBudgetSchema } from '../../gateway/contract.ts'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { haproxyIngress } from '../../infra/constructs/ingress-profiles/haproxy-ingress.ts'
import { haproxytech } from '../../infra/constructs/ingress-profiles/haproxytech.ts'
import type { WayIn } from '../../infra/constructs/ingress-profiles/profile.ts'
import { chat, openChat } from '../helpers/client.ts'
import { QUICK, startGateway, type TestGateway } from '../helpers/gateway.ts'
import { HAPROXY, haproxyIngressLines, haproxytechLines, startHaproxy } from '../helpers/haproxy.ts'
import { isMissing } from '../helpers/program.ts'
import { expectLeavingToFree, mostOf } from '../helpers/proxy-program.ts'
import { countMoments, talkTo } from '../helpers/websocket.ts'

const TOKENS = 60
/** An answer in one piece takes three times as long as HAProxy's own timer, which is 1 s here and 50 s by default. */
const SLOW = { stream: false, max_tokens: 200, ignore_eos: true }
const OWN_TIMER = '1s'

const route = { name: 'gateway', host: 'llm.example.com', secretName: 'llm-tls' }
const wayIn: WayIn = {
  namespace: 'sluice',
  serviceName: 'gateway',
  port: PORTS.gateway,
  limits: { ...deriveTimeBudget(timeBudgetSchema.parse({})).ingress, maxBodyBytes: 10_485_760 },
  routes: [route],
  hsts: { maxAgeSeconds: 600, includeSubDomains: true },
  allowFrom: ['127.0.0.0/8', '2001:db8::/32']
}

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway({ engines: [{ pace: { ...QUICK, interTokenMs: 15 } }] })
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** How many pieces a streamed answer arrives in. */
async function countPieces(address: string): Promise<number> {
  const response = await openChat(address, { body: { stream: true, max_tokens: TOKENS, ignore_eos: true } }).head
  let pieces = 0
  for await (const _ of response) pieces++
  return pieces
}

const HAPROXY_PROFILES = [
  [haproxytech, haproxytechLines],
  [haproxyIngress, haproxyIngressLines]
] as const

describe.skipIf(
  isMissing(HAPROXY, 'tests through a real HAProxy', 'install haproxy (Debian: apt-get install haproxy)')
)('through HAProxy', () => {
  for (const [profile, toLines] of HAPROXY_PROFILES) {
    const { name } = profile
    const lines = toLines(profile.annotations(wayIn, route))

    it(`configured as ${name} is by its profile, tokens arrive one by one`, async () => {
      await using haproxy = await startHaproxy(gateway.address, lines)
      const enough = TOKENS * 0.8
      expect(await mostOf(() => countPieces(haproxy.address), enough)).toBeGreaterThan(enough)
    })

    it(`without ${name}'s snippet they arrive in lumps`, async () => {
      const backend = lines.backend.filter((line) => line !== 'option http-no-delay')
      await using haproxy = await startHaproxy(gateway.address, { ...lines, backend })
      expect(await countPieces(haproxy.address)).toBeLessThan(TOKENS * 0.3)
    })

    it(`${name} waits for an answer in one piece for longer than HAProxy's own timers`, async () => {
      await using haproxy = await startHaproxy(gateway.address, lines, OWN_TIMER)
      const response = await chat(haproxy.address, { body: SLOW })
      expect(response.status).toBe(200)
      expect(JSON.parse(await response.text()).usage.completion_tokens).toBe(SLOW.max_tokens)
    })

    it(`without ${name}'s annotations HAProxy gives up on it`, async () => {
      await using haproxy = await startHaproxy(gateway.address, { frontend: [], backend: [] }, OWN_TIMER)
      expect((await chat(haproxy.address, { body: SLOW })).status).toBe(504)
    })

    it(`${name} adds HSTS, and lets in whom the allowlist names`, async () => {
      await using haproxy = await startHaproxy(gateway.address, lines)
      const response = await chat(haproxy.address, { body: { max_tokens: 1 } })
      expect(response.status).toBe(200)
      expect(response.headers.get('strict-transport-security')).toBe('max-age=600; includeSubDomains')
      const others = toLines(profile.annotations({ ...wayIn, allowFrom: ['203.0.113.0/24'] }, route))
      await using closed = await startHaproxy(gateway.address, others)
      expect((await chat(closed.address, { body: { max_tokens: 1 } })).status).toBe(403)
    })

    it(`configured as ${name} is by its profile, a WebSocket gets tokens one by one and outlives HAProxy's own timers`, async () => {
      await using quick = await startGateway({
        engines: [{ pace: { ...QUICK, interTokenMs: 15 } }],
        config: { budget: { heartbeatMs: 300 } }
      })
      // pings come far more often, even where this process gets no processor for a while
      await using haproxy = await startHaproxy(quick.address, lines, '4s')
      const ours = await talkTo(haproxy.address)
      await sleep(5_500)
      const enough = TOKENS * 0.5
      expect(await mostOf(() => countMoments(ours, TOKENS), enough)).toBeGreaterThan(enough)
      ours.socket.terminate()
    })

    it(`a client that leaves ${name} frees the engine`, async () => {
      await using haproxy = await startHaproxy(gateway.address, lines)
      await expectLeavingToFree(gateway.engines[0] as SimEngine, haproxy.address)
    })
  }
})
