// The addresses that count as the internet's, as an API server reads them.
import { BlockList, isIPv6 } from 'node:net'
import { describe, expect, it } from 'vitest'
import { INTERNET, isOwn } from '../../../infra/lib/network.ts'

/** An address as the API server's language has it: an IPv4 address in an IPv6 one is an IPv4 address. */
const familyOf = (address: string) => (isIPv6(address) && !address.startsWith('::ffff:') ? 'ipv6' : 'ipv4')

describe('INTERNET', () => {
  it('has exceptions that lie inside of their range, or the API server would refuse the policy', () => {
    for (const { cidr, except = [] } of INTERNET) {
      const [network = '', bits] = cidr.split('/')
      const range = new BlockList()
      range.addSubnet(network, Number(bits), familyOf(network))
      for (const exception of except) {
        const [first = '', length] = exception.split('/')
        expect(familyOf(first), exception).toBe(familyOf(network))
        expect(range.check(first, familyOf(first)), exception).toBe(true)
        expect(Number(length)).toBeGreaterThan(Number(bits))
      }
    }
  })
})

describe('isOwn', () => {
  it('takes pods without a namespace for those beside the policies, and addresses for nobody', () => {
    expect(isOwn({ name: 'a', podLabels: {} })).toBe(true)
    expect(isOwn({ name: 'a', podLabels: {}, namespace: 'b' })).toBe(false)
    expect(isOwn({ name: 'a', blocks: [] })).toBe(false)
  })
})
