// Edges that others add to a closed namespace.
import { App, Chart } from 'cdk8s'
import { describe, expect, it } from 'vitest'
import { NetworkPolicies, type NetworkPoliciesProps } from '../../../infra/constructs/network-policies.ts'
import type { Pods } from '../../../infra/lib/network.ts'
import { isAllowed, type Party } from '../network-evaluator.ts'

const a: Pods = { name: 'a', podLabels: { app: 'a' } }
const b: Pods = { name: 'b', podLabels: { app: 'b' } }
const far: Pods = { name: 'far', podLabels: {}, namespace: 'far' }
const partyOf = ({ podLabels, namespace = 'own' }: Pods): Party => ({
  address: '10.0.0.1',
  namespace,
  labels: podLabels
})

function build(allow: (policies: NetworkPolicies) => void, props?: NetworkPoliciesProps) {
  const chart = new Chart(new App(), 'test', { namespace: 'own' })
  allow(new NetworkPolicies(chart, 'NetworkPolicies', props))
  const manifests = chart.toJson()
  return (from: Pods, to: Pods, port: number) => isAllowed(manifests, { from: partyOf(from), to: partyOf(to), port })
}

describe('NetworkPolicies', () => {
  it('opens an edge one way, on its ports', () => {
    const reaches = build((policies) => policies.allow(a, b, 8000, { port: 9000 }))
    expect([reaches(a, b, 8000), reaches(a, b, 9000), reaches(a, b, 80), reaches(b, a, 8000)]).toEqual([
      true,
      true,
      false,
      false
    ])
  })

  it('lets the pods of one workload talk among themselves on every port', () => {
    const reaches = build((policies) => policies.allow(a, a))
    expect([reaches(a, a, 29_500), reaches(a, b, 29_500), reaches(b, a, 29_500)]).toEqual([true, false, false])
  })

  it('opens only its own end of an edge to another namespace', () => {
    const reaches = build((policies) => {
      policies.allow(far, a, 80)
      policies.allow(b, far, 81)
    })
    expect([reaches(far, a, 80), reaches(a, far, 80), reaches(b, far, 81), reaches(far, b, 81)]).toEqual([
      true,
      false,
      true,
      false
    ])
  })

  it('fails when an edge has no end here, and when it is opened twice', () => {
    expect(() => build((policies) => policies.allow(far, far, 1))).toThrow(/neither far nor far is in this namespace/)
    expect(() =>
      build((policies) => {
        policies.allow(a, b, 1)
        policies.allow(a, b, 2)
      })
    ).toThrow(/a-to-b/)
  })

  it('makes nothing where the mode is none, whatever is allowed', () => {
    const reaches = build((policies) => policies.allow(a, b, 1), { mode: 'none' })
    expect(reaches(b, a, 9)).toBe(true)
  })
})
