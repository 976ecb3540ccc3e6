// The annotations of a record, under the prefixes of old and new releases of external-dns.
import { describe, expect, it } from 'vitest'
import { type DnsRouting, renderDnsAnnotations } from '../../../infra/lib/external-dns.ts'

/** The entries under one prefix, without it. */
const under = (prefix: string, annotations: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(annotations)
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value])
  )

describe('renderDnsAnnotations', () => {
  it('says the same under either prefix, and nothing else', () => {
    const annotations = renderDnsAnnotations({ ttlSeconds: 30 })
    expect(annotations).toEqual({
      'external-dns.kubernetes.io/ttl': '30',
      'external-dns.alpha.kubernetes.io/ttl': '30'
    })
  })

  it.each([
    [{ policy: 'latency', awsRegion: 'us-east-1' }, { 'aws-region': 'us-east-1' }],
    [{ policy: 'weight', weight: 0 }, { 'aws-weight': '0' }],
    [{ policy: 'geo', continent: 'EU' }, { 'aws-geolocation-continent-code': 'EU' }],
    [{ policy: 'geo', country: '*' }, { 'aws-geolocation-country-code': '*' }]
  ] as [DnsRouting, object][])('tells Route 53 of %j', (routing, expected) => {
    const record = { ttlSeconds: 60, setIdentifier: 'eu', routing, healthCheckId: 'b1e3' }
    for (const prefix of ['external-dns.kubernetes.io/', 'external-dns.alpha.kubernetes.io/']) {
      expect(under(prefix, renderDnsAnnotations(record))).toEqual({
        ttl: '60',
        'set-identifier': 'eu',
        'aws-health-check-id': 'b1e3',
        ...expected
      })
    }
  })
})
