// Knows again who has shown a right key before, without keeping any key: by a keyed tag that takes a fraction of the key's own check.
import type { Principal } from '../call.ts'
import { createHalfSipHash } from './half-sip-hash.ts'

/** The clients of a key write their header in one or two ways; beyond this somebody plays, and all are checked anew. */
const MOST_REMEMBERED = 4_096

interface Remembered {
  /** The other half of the tag. */
  readonly high: number
  readonly principal: Principal
}

/**
 * Says who asks by the bytes of an `Authorization` value, from `start` to `end`; throws what `authenticate` throws.
 *
 * Only what `authenticate` has found right is remembered, under 64 bits of HalfSipHash with a secret that lives as long as
 * the process. A guess is right with a chance of 2^-52 where all places are taken, and a wrong one tells nothing.
 *
 * @param secret at least 8 random bytes
 */
export function createKeyMemory(
  authenticate: (authorization: string) => Principal,
  secret: Buffer
): (bytes: Buffer, start: number, end: number) => Principal {
  const remembered = new Map<number, Remembered>()
  const hash = createHalfSipHash(secret)
  const tag = { low: 0, high: 0 }
  return (bytes, start, end) => {
    hash(bytes, start, end, tag)
    const known = remembered.get(tag.low)
    if (known?.high === tag.high) return known.principal
    const { low, high } = tag
    const principal = authenticate(bytes.toString('latin1', start, end))
    if (remembered.size >= MOST_REMEMBERED) remembered.clear()
    remembered.set(low, { high, principal })
    return principal
  }
}
