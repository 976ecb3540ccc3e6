// Signed URLs of streams: whoever has one may watch and cancel that stream until it expires, without a key.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { PATHS } from '../contract.ts'
import { GatewayError } from '../errors.ts'

/** What a URL says of its own right; texts as they came. */
export interface UrlClaim {
  readonly id: string
  readonly expires: string | undefined
  readonly signature: string | undefined
}

export interface StreamUrls {
  /** The path and query that lead to a stream, and when they stop to, in seconds since 1970. */
  create(id: string): { readonly url: string; readonly expiresAt: number }
  /** Throws `invalid_stream_url` for what was not signed here, or has expired. */
  check(claim: UrlClaim): void
}

/**
 * @param secret gateways that share it accept each other's URLs
 * @param urlMs how long a URL is good
 * @param nowMs the time of day, in ms since 1970
 */
export function createStreamUrls(secret: Buffer, urlMs: number, nowMs: () => number): StreamUrls {
  // the purpose is a part of what is signed, so a secret that signs something else, too, lends nobody a URL
  const sign = (id: string, expires: string) =>
    createHmac('sha256', secret).update(`sluice stream url\n${id}\n${expires}`).digest()
  return {
    create(id) {
      const expiresAt = Math.ceil((nowMs() + urlMs) / 1000)
      const signature = sign(id, String(expiresAt)).toString('base64url')
      return { url: `${PATHS.streams}/${id}?expires=${expiresAt}&signature=${signature}`, expiresAt }
    },
    check({ id, expires = '', signature = '' }) {
      const expected = sign(id, expires)
      const given = Buffer.from(signature, 'base64url')
      const isOurs = given.length === expected.length && timingSafeEqual(given, expected)
      if (!isOurs || Number(expires) * 1000 < nowMs()) throw new GatewayError('invalid_stream_url')
    }
  }
}
