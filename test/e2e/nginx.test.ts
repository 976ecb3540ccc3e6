import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deriveTimeBudget, PORTS, timeBudgetSchema } from '../../gateway/contract.ts'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { f5Nginx } from '../../infra/constructs/ingress-profiles/f5-nginx.ts'
import { ingressNginx } from '../../infra/constructs/ingress-profiles/ingress-nginx.ts'
import type { WayIn } from '../../infra/constructs/ingress-profiles/profile.ts'
import { chatBody, openChat } from '../helpers/client.ts'
import { QUICK, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { f5Directives, ingressNginxDirectives, NGINX, startNginx } from '../helpers/nginx.ts'
import { isMissing } from '../helpers/program.ts'
import { expectLeavingToFree, mostOf } from '../helpers/proxy-program.ts'
import { countMoments, refusalOf, talkTo } from '../helpers/websocket.ts'

const TOKENS = 60
const route = { name: 'gateway', host: 'llm.example.com', secretName: 'llm-tls' }
const wayIn: WayIn = {
  namespace: 'sluice',
  serviceName: 'gateway',
  port: PORTS.gateway,
  limits: { ...deriveTimeBudget(timeBudgetSchema.parse({})).ingress, maxBodyBytes: 10_485_760 },
  routes: [route]
}

let gateway: TestGateway
/** One whose pings come more often than nginx's timer is long where a test sets it to some seconds. */
let quick: TestGateway
beforeAll(async () => {
  const engines = [{ pace: { ...QUICK, interTokenMs: 15 } }]
  gateway = await startGateway({ engines })
  quick = await startGateway({ engines, config: { budget: { heartbeatMs: 300 } } })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await quick[Symbol.asyncDispose]()
})

/** How many pieces a streamed answer arrives in. */
async function countPieces(address: string): Promise<number> {
  const response = await openChat(address, { body: { stream: true, max_tokens: TOKENS, ignore_eos: true } }).head
  let pieces = 0
  for await (const _ of response) pieces++
  return pieces
}

/** So many pieces are one by one: the first ones may come together. */
const ENOUGH = TOKENS * 0.8

/**
 * Buffering that is sure to show. To an upstream that sends chunks, nginx 1.22 passes each on as it comes even with
 * buffering on (it still spools for a slow reader); to one that it speaks HTTP/1.0 to, its own default, it waits for 4 KiB.
 */
const BUFFERING = { proxy_buffering: 'on', proxy_http_version: '1.0' }

const NGINX_PROFILES = [
  [ingressNginx, ingressNginxDirectives],
  [f5Nginx, f5Directives]
] as const

describe.skipIf(isMissing(NGINX, 'tests through a real nginx', 'install nginx (Debian: apt-get install nginx-light)'))(
  'through nginx',
  () => {
    for (const [profile, toDirectives] of NGINX_PROFILES) {
      const { name } = profile
      const directives = toDirectives(profile.annotations(wayIn, route))

      it(`configured as ${name} is by its profile, tokens arrive one by one`, async () => {
        await using nginx = await startNginx(gateway.address, directives)
        expect(await mostOf(() => countPieces(nginx.address), ENOUGH)).toBeGreaterThan(ENOUGH)
      })

      it(`with ${name}'s buffering on and the gateway's header lost, they do not`, async () => {
        const buffering = { ...directives, ...BUFFERING, proxy_ignore_headers: 'X-Accel-Buffering' }
        await using nginx = await startNginx(gateway.address, buffering)
        expect(await countPieces(nginx.address)).toBeLessThan(TOKENS * 0.3)
      })

      it(`with ${name}'s buffering on, the gateway's own header still makes them`, async () => {
        await using nginx = await startNginx(gateway.address, { ...directives, ...BUFFERING })
        expect(await mostOf(() => countPieces(nginx.address), ENOUGH)).toBeGreaterThan(ENOUGH)
      })

      it(`configured as ${name} is by its profile, a WebSocket gets tokens one by one and outlives nginx's own timer`, async () => {
        await using nginx = await startNginx(quick.address, { ...directives, proxy_read_timeout: '4s' })
        const ours = await talkTo(nginx.address)
        await sleep(5_500)
        const enough = TOKENS * 0.5
        expect(await mostOf(() => countMoments(ours, TOKENS), enough)).toBeGreaterThan(enough)
        const aborted = quick.engines[0]?.stats.aborted ?? 0
        ours.say({ type: 'create', id: 'b', body: chatBody({ max_tokens: 5_000, ignore_eos: true }) })
        await ours.hear({ type: 'chunk', id: 'b' })
        ours.socket.terminate()
        await until('the engine notices', () => quick.engines[0]?.stats.aborted === aborted + 1)
      })

      it(`a client that leaves ${name} frees the engine`, async () => {
        await using nginx = await startNginx(gateway.address, directives)
        await expectLeavingToFree(gateway.engines[0] as SimEngine, nginx.address)
      })
    }

    it('configured as f5-nginx is without its annotation for WebSockets, none gets through', async () => {
      const { 'nginx.org/websocket-services': _, ...others } = f5Nginx.annotations(wayIn, route)
      await using nginx = await startNginx(gateway.address, f5Directives(others))
      expect(await refusalOf(nginx.address, {})).toEqual({ status: 405, code: 'method_not_allowed' })
    })
  }
)
