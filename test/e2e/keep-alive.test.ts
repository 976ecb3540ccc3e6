// How long the gateway keeps a connection for its next request, as it tells its clients.
import { expect, it } from 'vitest'
import { startGateway } from '../helpers/gateway.ts'

const promised = async (config: { keepAliveMs?: number }) => {
  await using gateway = await startGateway({ config })
  return (await fetch(`${gateway.address}/healthz`)).headers.get('keep-alive')
}

it('is above the 60 s of common proxies, or what the configuration says', async () => {
  expect(await promised({})).toBe('timeout=75')
  expect(await promised({ keepAliveMs: 620_000 })).toBe('timeout=620')
})
