// Knows again who has shown a right key before, without keeping any key: by a keyed tag that takes a fraction of the key's own check.
import type { Principal } from '../call.ts'
import { createHalfSipHash } from './half-sip-hash.ts'

interface Remembered {
  /** The other half of the tag. */
  readonly high: number
  readonly principal: Principal
}

/** How nearly all clients write it. Of other spellings one key has as many as its holder likes: those are checked each time. */
const USUAL = Buffer.from('Bearer ')
const SPACE = 0x20

export interface KeyMemory {
  /** Says who asks by the bytes of an `Authorization` value, from `start` to `end`; throws what `authenticate` throws. */
  readonly identify: (bytes: Buffer, start: number, end: number) => Principal
  /** To be called when other keys are right than before: everybody is checked anew. */
  readonly forget: () => void
}

/**
 * Creates a memory of right keys.
 *
 * Only what `authenticate` has found right is remembered, in its usual spelling, so there are never more of them than keys:
 * under 64 bits of HalfSipHash with a secret that lives as long as the process. A guess is right with a chance of 2^-64 a key, and a
 * wrong one tells nothing.
 *
 * @param secret at least 8 random bytes
 */
export function createKeyMemory(authenticate: (authorization: string) => Principal, secret: Buffer): KeyMemory {
  const remembered = new Map<number, Remembered>()
  const hash = createHalfSipHash(secret)
  const tag = { low: 0, high: 0 }
  const identify = (bytes: Buffer, start: number, end: number) => {
    hash(bytes, start, end, tag)
    const { low, high } = tag
    const known = remembered.get(low)
    if (known?.high === high) return known.principal
    const principal = authenticate(bytes.toString('latin1', start, end))
    const isUsual = USUAL.every((byte, i) => bytes[start + i] === byte) && bytes[start + USUAL.length] !== SPACE
    if (isUsual) remembered.set(low, { high, principal })
    return principal
  }
  return { identify, forget: () => remembered.clear() }
}
