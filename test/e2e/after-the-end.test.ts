// The last chunk ends an answer: what an engine sends behind it changes no answer, and its connection carries no other one.
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { DONE_EVENT, FINISH, ROLE, TEXT } from '../helpers/fakes.ts'
import { startBy, WAYS } from '../helpers/gateway.ts'
import { type Script, startScriptedEngine, streamResponse, writePieces } from '../helpers/scripted-engine.ts'
import { stream } from '../helpers/told.ts'

const FINISHED = ROLE() + TEXT('Rivers') + FINISH('stop')
const ANSWERS = { 'that said [DONE]': FINISHED + DONE_EVENT, 'that finished without [DONE]': FINISHED }
const RESTS = {
  garbage: 'garbage\r\n\r\n',
  'zero bytes': '\0\0\0\0',
  'one more last chunk': '0\r\n\r\n',
  'another answer': String(streamResponse(ROLE() + TEXT('of somebody else') + FINISH('stop') + DONE_EVENT)),
  'a timeout': 'HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n'
}

describe.each(WAYS)('by way of %s,', (way) => {
  /** Two answers, one after the other: as they were told, and on how many connections they came. */
  async function twice(script: Script) {
    await using engine = await startScriptedEngine(script)
    await using gateway = await startBy(way)({ engines: [], urls: [engine.url], config: { healthIntervalMs: 60_000 } })
    const told = [await stream(gateway)]
    await sleep(30)
    told.push(await stream(gateway))
    return {
      answers: told.map(({ text, record }) => [text, record.outcome, record.attempts, record.cause]),
      connections: new Set(engine.requests.map(({ connection }) => connection)).size,
      warnings: gateway.log.filter(({ level }) => level === 'warn').map(({ cause }) => cause)
    }
  }

  describe.each(Object.entries(ANSWERS))('an answer %s', (_how, answer) => {
    const response = streamResponse(answer, 100)
    const whole = [FINISHED + DONE_EVENT, 'complete', 1, undefined]

    it.each(Object.entries(RESTS))('is whole with %s behind it, and its connection is closed', async (_what, rest) => {
      const scripts: Record<string, Script> = {
        'all of it in one write': ({ socket }) => void socket.write(Buffer.concat([response, Buffer.from(rest)])),
        'the last chunk and the rest in one write': ({ socket }) =>
          writePieces(socket, [response.subarray(0, -5), Buffer.concat([response.subarray(-5), Buffer.from(rest)])]),
        'the rest in a write of its own': ({ socket }) => writePieces(socket, [response, rest])
      }
      for (const [how, script] of Object.entries(scripts))
        expect({ how, ...(await twice(script)) }).toEqual({
          how,
          answers: [whole, whole],
          connections: 2,
          warnings: []
        })
    })
  })
})
