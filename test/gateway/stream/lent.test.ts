// Bytes that are only lent: every reader gets its own, though all of them leave from the same memory.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { writeLent } from '../../../gateway/stream/lent.ts'
import { until } from '../../helpers/gateway.ts'
import { closePairs, openPair } from '../../helpers/socket-pair.ts'

afterEach(closePairs)

/** Memory that is overwritten as soon as it was written from. */
const memory = Buffer.alloc(65_536)
function write(socket: Socket, text: string): boolean {
  const lent = memory.subarray(0, memory.write(text))
  const more = writeLent(socket, lent)
  memory.fill('!')
  return more
}

describe('bytes that are lent', () => {
  it('reach each reader whole while another one stalls', async () => {
    const [stalling, busy] = [await openPair(), await openPair()]
    stalling.reader.pause()
    const written = { stalling: '', busy: '' }
    for (let i = 0, full = 0; full < 3; i++) {
      const [mine, other] = [`<${i} ${'s'.repeat(3_000)}>`, `<${i} ${'b'.repeat(i % 3_000)}>`]
      written.stalling += mine
      written.busy += other
      if (!write(stalling.socket, mine)) full++
      write(busy.socket, other)
    }
    expect(stalling.socket.writableLength).toBeGreaterThan(0)
    await until('the busy one has all', () => busy.read.text.length === written.busy.length)
    expect(busy.read.text === written.busy).toBe(true)
    stalling.reader.resume()
    await until('the stalling one has all', () => stalling.read.text.length === written.stalling.length)
    expect(stalling.read.text === written.stalling).toBe(true)
  })

  it('reach a reader in order, however many there are', async () => {
    const { socket, read } = await openPair()
    const texts = [1, 4_095, 4_096, 4_097, 65_536, 2, 4_096].map((length, i) => String(i).repeat(length))
    for (const text of texts) write(socket, text)
    await until('all is here', () => read.text.length === texts.join('').length)
    expect(read.text === texts.join('')).toBe(true)
  })

  it('take no memory of their own as long as sockets keep nothing', async () => {
    const { socket, reader } = await openPair()
    const writes = vi.spyOn(socket, 'write')
    for (const text of ['one', 'two']) {
      write(socket, text)
      await once(reader, 'data')
    }
    const [first, second] = writes.mock.calls.map(([bytes]) => bytes)
    expect(second).toBe(first)
  })
})
