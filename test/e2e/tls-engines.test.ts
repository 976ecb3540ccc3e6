// Engines behind TLS, whose certificate an authority of the operator's own has signed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../gateway/sim/engine.ts'
import { makeCertificate } from '../cluster/harness/certificate.ts'
import { chat, eventsOf, jsonOf, LONG, openChat, textOf } from '../helpers/client.ts'
import { ROOMY, spawnGateway, startEngines, startGateway, testConfig, until } from '../helpers/gateway.ts'
import { findProgram, isMissing } from '../helpers/program.ts'

const OPENSSL = findProgram('openssl')
const TOKENS = { max_tokens: 20, ignore_eos: true }

describe.skipIf(isMissing(OPENSSL, 'tests of engines behind TLS', 'install OpenSSL (Debian: apt-get install openssl)'))(
  'an engine behind TLS',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
    let engine: SimEngine
    let front: Server
    let url: string

    beforeAll(async () => {
      await makeCertificate(folder, ['localhost'])
      const [only] = await startEngines([ROOMY])
      engine = only as SimEngine
      const read = (name: string) => readFileSync(join(folder, name))
      // it would rather speak HTTP/2, as many servers would
      const options = { cert: read('tls.crt'), key: read('tls.key'), ALPNProtocols: ['h2', 'http/1.1'] }
      front = createServer(options, (socket) => {
        const inner = connect(Number(new URL(engine.url).port), '127.0.0.1')
        for (const [from, to] of [
          [socket, inner],
          [inner, socket]
        ] as const)
          from.on('error', () => to.destroy()).on('close', () => to.destroy())
        socket.pipe(inner).pipe(socket)
      })
      await new Promise<void>((listening) => front.listen(0, 'localhost', listening))
      url = `https://localhost:${(front.address() as AddressInfo).port}`
    })
    afterAll(async () => {
      front.close()
      await engine.close()
      rmSync(folder, { recursive: true })
    })

    it('answers, streamed and in one piece, and is freed when its reader leaves', async () => {
      await using gateway = await spawnGateway(testConfig([url]), { NODE_EXTRA_CA_CERTS: join(folder, 'tls.crt') })
      const whole = await jsonOf(await chat(gateway.address, { body: { ...TOKENS, seed: 5 } }))
      const streamed = await (await chat(gateway.address, { body: { ...TOKENS, seed: 5, stream: true } })).text()
      expect([textOf(streamed), eventsOf(streamed).at(-1)]).toEqual([whole.choices[0].message.content, '[DONE]'])
      const { head, leave } = openChat(gateway.address, { body: { ...LONG, stream: true } })
      const response = await head
      response.on('error', () => {})
      await new Promise((first) => response.once('data', first))
      leave()
      await until('the engine is free', () => engine.stats.running === 0)
      expect(engine.stats.aborted).toBe(1)
    })

    it('whose certificate nobody vouches for is not asked, and the log says why', async () => {
      const config = { healthIntervalMs: 200, pools: testConfig([url]).pools }
      await using gateway = await startGateway({ engines: [], urls: [url], config, pool: { waitForEngine: true } })
      const told = () => gateway.log.find(({ message }) => message === 'engine is not well')
      await until('the log tells', () => told() !== undefined)
      expect(told()).toMatchObject({
        pool: 'test',
        endpoint: new URL(url).host,
        cause: expect.stringMatching(/^self-signed certificate/)
      })
    })
  }
)
