// The evaluator of NetworkPolicies against what Kubernetes' own documentation says of them.
import { describe, expect, it } from 'vitest'
import { isAllowed, type Party } from './network-evaluator.ts'
import type { Manifest } from './stacks.ts'

const policy = (spec: Manifest): Manifest => ({ kind: 'NetworkPolicy', metadata: { namespace: 'a' }, spec })
const web: Party = { address: '10.1.0.1', namespace: 'a', labels: { app: 'web' } }
const db: Party = { address: '10.1.0.2', namespace: 'a', labels: { app: 'db' } }
const stranger: Party = { address: '10.1.0.3', namespace: 'b', labels: { app: 'web' } }
const outside: Party = { address: '203.0.113.9' }
const podsOf = (app: string) => ({ matchLabels: { app } })

describe('isAllowed', () => {
  it('lets everything through where no policy selects either end', () => {
    expect(isAllowed([], { from: stranger, to: db, port: 1 })).toBe(true)
    const other = policy({ podSelector: podsOf('web'), policyTypes: ['Ingress'] })
    expect(isAllowed([other], { from: stranger, to: db, port: 1 })).toBe(true)
  })

  it('closes a selected pod in the directions of the policy alone', () => {
    const policies = [policy({ podSelector: podsOf('db') })]
    expect(isAllowed(policies, { from: web, to: db, port: 1 })).toBe(false)
    expect(isAllowed(policies, { from: db, to: web, port: 1 })).toBe(true)
    const egress = [policy({ podSelector: {}, policyTypes: ['Egress'] })]
    expect(isAllowed(egress, { from: db, to: outside, port: 1 })).toBe(false)
    expect(isAllowed(egress, { from: stranger, to: db, port: 1 })).toBe(true)
  })

  it('adds up the rules of all policies, and asks both ends', () => {
    const ingress = {
      podSelector: podsOf('db'),
      ingress: [{ from: [{ podSelector: podsOf('web') }], ports: [{ port: 5432 }] }]
    }
    const policies = [policy({ podSelector: {} }), policy(ingress)]
    expect(isAllowed(policies, { from: web, to: db, port: 5432 })).toBe(true)
    expect(isAllowed(policies, { from: web, to: db, port: 5433 })).toBe(false)
    expect(isAllowed(policies, { from: web, to: db, port: 5432, protocol: 'UDP' })).toBe(false)
    const closed = policy({ podSelector: podsOf('web'), policyTypes: ['Egress'] })
    expect(isAllowed([...policies, closed], { from: web, to: db, port: 5432 })).toBe(false)
  })

  it('takes a pod selector without a namespace for the own namespace, and both selectors together', () => {
    const rule = (peer: Manifest) => [policy({ podSelector: podsOf('db'), ingress: [{ from: [peer] }] })]
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'b' } }
    expect(isAllowed(rule({ podSelector: podsOf('web') }), { from: stranger, to: db, port: 1 })).toBe(false)
    expect(
      isAllowed(rule({ podSelector: podsOf('web'), namespaceSelector }), { from: stranger, to: db, port: 1 })
    ).toBe(true)
    expect(isAllowed(rule({ podSelector: podsOf('x'), namespaceSelector }), { from: stranger, to: db, port: 1 })).toBe(
      false
    )
    expect(isAllowed(rule({ namespaceSelector }), { from: web, to: db, port: 1 })).toBe(false)
    expect(isAllowed(rule({ podSelector: {} }), { from: outside, to: db, port: 1 })).toBe(false)
  })

  it('leaves the exceptions out of a range of addresses, of either family', () => {
    const to = [
      { ipBlock: { cidr: '203.0.0.0/8', except: ['203.0.113.0/24'] } },
      { ipBlock: { cidr: '2001:db8::/32' } }
    ]
    const policies = [policy({ podSelector: {}, policyTypes: ['Egress'], egress: [{ to }] })]
    const reaches = (address: string) => isAllowed(policies, { from: web, to: { address }, port: 1 })
    expect(['203.0.112.1', '203.0.113.9', '204.0.0.1', '2001:db8::1', '2001:db9::1'].map(reaches)).toEqual([
      true,
      false,
      false,
      true,
      false
    ])
  })

  it('fails when it meets what it does not understand', () => {
    const named = policy({ podSelector: {}, ingress: [{ ports: [{ port: 'http' }] }] })
    expect(() => isAllowed([named], { from: web, to: db, port: 1 })).toThrow(/is a name/)
    const expression = policy({ podSelector: { matchExpressions: [] } })
    expect(() => isAllowed([expression], { from: web, to: db, port: 1 })).toThrow(/matchExpressions/)
  })
})
