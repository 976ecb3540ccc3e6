// API keys: from an Authorization header to a principal, without the keys themselves being stored anywhere.
import { hash, timingSafeEqual } from 'node:crypto'
import type { Principal } from '../call.ts'
import type { KeyFile } from '../contract.ts'
import { GatewayError } from '../errors.ts'

/**
 * The stored form of a key: HMAC-SHA-256 under the file's random salt, in hex.
 *
 * A slow hash (scrypt, argon2) protects what people choose, because that can be guessed; it would cost tens of
 * milliseconds of CPU for each request. A key of 256 random bits can't be guessed at any speed, so one keyed SHA-256 is
 * enough, and its salt makes equal keys in two files look different.
 */
export function hashKey(salt: string, key: string): string {
  return createHasher(salt)(key)
}

/** SHA-256 works on blocks of so many bytes. */
const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
/** Longer than any key that `npm run keys` makes. */
const USUAL_KEY_BYTES = 256

/**
 * `hashKey` under one salt: HMAC as RFC 2104 builds it, of two one-shot hashes over memory that is made once. Node's
 * `createHmac` looks its algorithm up anew each time, which takes longer than the hashing itself.
 */
function createHasher(salt: string): (key: string) => string {
  const given = Buffer.from(salt, 'base64')
  const secret = given.length > BLOCK_BYTES ? hash('sha256', given, 'buffer') : given
  const pad = (byte: number, more: number) =>
    Buffer.alloc(BLOCK_BYTES + more, byte).map((value, i) => value ^ (i < BLOCK_BYTES ? (secret[i] ?? 0) : 0))
  const usual = Buffer.from(pad(0x36, USUAL_KEY_BYTES).buffer)
  const outer = Buffer.from(pad(0x5c, DIGEST_BYTES).buffer)
  return (key) => {
    const bytes = Buffer.byteLength(key)
    const inner =
      bytes <= USUAL_KEY_BYTES ? usual : Buffer.concat([usual.subarray(0, BLOCK_BYTES)], BLOCK_BYTES + bytes)
    const end = BLOCK_BYTES + inner.write(key, BLOCK_BYTES)
    outer.write(hash('sha256', inner.subarray(0, end), 'hex'), BLOCK_BYTES, 'hex')
    inner.fill(0, BLOCK_BYTES, end)
    return hash('sha256', outer, 'hex')
  }
}

export interface Keys {
  /** The principal of an `Authorization` header; throws `missing_api_key` or `invalid_api_key`. */
  authenticate(authorization: string | undefined): Principal
  /** Whether a principal has a key, and the rights that it had when it was authenticated. */
  holds(principal: Principal): boolean
  /**
   * Takes the keys of another file instead. A key that is in both, with the same rights, keeps its principal.
   * @returns false if nothing has changed
   */
  replace(file: KeyFile): boolean
}

/** How many hex digits of a hash choose the bucket; the rest is compared in constant time. */
const BUCKET_DIGITS = 8

interface Entry {
  readonly hash: Buffer
  readonly principal: Principal
}

/** The keys of one file. */
interface Ring {
  readonly hashOf: (key: string) => string
  /** By the first digits of the hash. */
  readonly buckets: ReadonlyMap<string, readonly Entry[]>
  /** By everything that the file says of a key. */
  readonly principals: ReadonlyMap<string, Principal>
}

/**
 * Creates the key ring of a key file. A bucket is found by a part of the keyed hash, which nobody who lacks the salt
 * can aim at; the whole hash is then compared in constant time.
 */
export function createKeys(file: KeyFile): Keys {
  let ring = createRing(file)
  let held = new Set(ring.principals.values())
  return {
    authenticate(authorization) {
      const key = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
      if (key === undefined) throw new GatewayError('missing_api_key')
      const hash = ring.hashOf(key)
      const given = Buffer.from(hash, 'hex')
      const found = ring.buckets.get(hash.slice(0, BUCKET_DIGITS))?.find((entry) => timingSafeEqual(entry.hash, given))
      if (found === undefined) throw new GatewayError('invalid_api_key')
      return found.principal
    },
    holds: (principal) => held.has(principal),
    replace(next) {
      const before = held
      ring = createRing(next, ring.principals)
      held = new Set(ring.principals.values())
      return held.size !== before.size || held.difference(before).size > 0
    }
  }
}

/** @param known principals that stay who they are */
function createRing({ salt, keys }: KeyFile, known: ReadonlyMap<string, Principal> = new Map()): Ring {
  const buckets = new Map<string, Entry[]>()
  const principals = new Map<string, Principal>()
  for (const { id, hash, maxOutputTokens, models = 'unrestricted' as const } of keys) {
    const all = JSON.stringify([salt, id, hash, maxOutputTokens, models])
    const principal = known.get(all) ?? Object.freeze({ keyId: id, maxOutputTokens, models })
    principals.set(all, principal)
    const bucket = buckets.get(hash.slice(0, BUCKET_DIGITS)) ?? []
    bucket.push({ hash: Buffer.from(hash, 'hex'), principal })
    buckets.set(hash.slice(0, BUCKET_DIGITS), bucket)
  }
  return { hashOf: createHasher(salt), buckets, principals }
}
