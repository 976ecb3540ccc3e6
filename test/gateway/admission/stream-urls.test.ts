import { describe, expect, it } from 'vitest'
import { createStreamUrls, type UrlClaim } from '../../../gateway/admission/stream-urls.ts'

const SECRET = Buffer.from('a key that is longer than 32 characters')
let nowMs = 1_000_000
const urls = createStreamUrls(SECRET, 60_000, () => nowMs)

function claimOf(url: string): UrlClaim {
  const { pathname, searchParams } = new URL(url, 'http://gateway')
  const read = (name: string) => searchParams.get(name) ?? undefined
  return { id: pathname.split('/').at(-1) ?? '', expires: read('expires'), signature: read('signature') }
}
const codeOf = (claim: UrlClaim, by = urls) => {
  try {
    by.check(claim)
    return 'accepted'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('the URL of a stream', () => {
  it('is good until it expires, for whoever has it', () => {
    nowMs = 1_000_000
    const { url, expiresAt } = urls.create('stream_a')
    expect(expiresAt).toBe(1_060)
    expect(codeOf(claimOf(url))).toBe('accepted')
    nowMs = 1_060_000
    expect(codeOf(claimOf(url))).toBe('accepted')
    nowMs = 1_060_001
    expect(codeOf(claimOf(url))).toBe('invalid_stream_url')
  })

  it.each<[title: string, change: Partial<UrlClaim>]>([
    ['another stream', { id: 'stream_b' }],
    ['a later end', { expires: '2060' }],
    ['the same end in other digits', { expires: '01060' }],
    ['no end', { expires: undefined }],
    ['no signature', { signature: undefined }],
    ['an empty signature', { signature: '' }],
    ['half a signature', { signature: 'AAAA' }],
    ['what was signed for a text that reads the same', { id: 'stream_a\n1', expires: '060' }]
  ])('is not good for %s', (_title, change) => {
    nowMs = 1_000_000
    expect(codeOf({ ...claimOf(urls.create('stream_a').url), ...change })).toBe('invalid_stream_url')
  })

  it('is good wherever the key is the same, and nowhere else', () => {
    nowMs = 1_000_000
    const claim = claimOf(urls.create('stream_a').url)
    expect(
      codeOf(
        claim,
        createStreamUrls(Buffer.from(SECRET), 1, () => nowMs)
      )
    ).toBe('accepted')
    expect(
      codeOf(
        claim,
        createStreamUrls(Buffer.from(`${SECRET}!`), 1, () => nowMs)
      )
    ).toBe('invalid_stream_url')
  })
})
