// API keys: from an Authorization header to a principal, without the keys themselves being stored anywhere.
import { hash, timingSafeEqual } from 'node:crypto'
import type { Principal } from '../call.ts'
import { GatewayError } from '../errors.ts'
import type { KeyFile } from '../key-schema.ts'
import { inSlices } from '../slices.ts'

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
   * Takes the keys of another file instead, all of them at one moment, before which those of the old one are right. A key that is
   * in both, with the same rights, keeps its principal.
   * @returns false if nothing has changed
   */
  replace(file: KeyFile): Promise<boolean>
}

/** How many hex digits of a hash choose the bucket; the rest is compared in constant time. */
const BUCKET_DIGITS = 8

interface Entry {
  readonly hash: Buffer
  readonly principal: Principal
}

/** The keys of one file. */
interface Ring {
  readonly salt: string
  readonly hashOf: (key: string) => string
  /** By the first digits of the hash. */
  readonly buckets: Map<string, Entry[]>
  /** By the name of the key, which no other one of the file has. */
  readonly entries: Map<string, Entry>
}

/**
 * Creates the key ring of a key file. A bucket is found by a part of the keyed hash, which nobody who lacks the salt
 * can aim at; the whole hash is then compared in constant time.
 */
export function createKeys(file: KeyFile): Keys {
  let ring = createRing(file.salt)
  addKeys(ring, file.keys)
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
    holds: (principal) => ring.entries.get(principal.keyId)?.principal === principal,
    async replace({ salt, keys }) {
      const next = createRing(salt)
      let kept = 0
      await inSlices(keys, (slice) => {
        kept += addKeys(next, slice, ring)
      })
      const isSame = kept === keys.length && kept === ring.entries.size
      ring = next
      return !isSame
    }
  }
}

const createRing = (salt: string): Ring => ({
  salt,
  hashOf: createHasher(salt),
  buckets: new Map(),
  entries: new Map()
})

/**
 * @param before a ring whose principals stay who they are
 * @returns how many of the keys were in that, with the same rights
 */
function addKeys(ring: Ring, keys: readonly Key[], before?: Ring): number {
  let kept = 0
  for (const key of keys) {
    const old = before?.salt === ring.salt ? before.entries.get(key.id) : undefined
    const hash = Buffer.from(key.hash, 'hex')
    const stays = old?.hash.equals(hash) === true && hasRights(old.principal, key)
    const entry = stays ? old : { hash, principal: toPrincipal(key) }
    if (stays) kept++
    ring.entries.set(key.id, entry)
    const digits = key.hash.slice(0, BUCKET_DIGITS)
    const bucket = ring.buckets.get(digits)
    if (bucket === undefined) ring.buckets.set(digits, [entry])
    else bucket.push(entry)
  }
  return kept
}

type Key = KeyFile['keys'][number]

function toPrincipal({ id, maxOutputTokens, models }: Key): Principal {
  const principal: Principal = { keyId: id, maxOutputTokens, models: models ?? 'unrestricted' }
  return Object.freeze(principal)
}

/** Whether a principal may do what the file says of its key; models have no order. */
function hasRights({ maxOutputTokens, models }: Principal, key: Key): boolean {
  if (maxOutputTokens !== key.maxOutputTokens) return false
  if (models === 'unrestricted' || key.models === undefined)
    return models === 'unrestricted' && key.models === undefined
  return new Set(models).symmetricDifference(new Set(key.models)).size === 0
}
