// Guards a region: its network policies, its Secrets from elsewhere, and what the API server refuses in its namespace.
import { Chart } from 'cdk8s'
import type { Construct } from 'constructs'
import { AdmissionPolicies } from '../constructs/admission-policies.ts'
import type { Origin } from '../constructs/ingress-profiles/profile.ts'
import { NetworkPolicies } from '../constructs/network-policies.ts'
import { Secrets } from '../constructs/secrets.ts'
import { admissionOf } from '../schema/admission.ts'
import type { Region } from '../schema.ts'
import { ACME_SOLVER, allowEdges, isBeside, type RegionalWorkloads } from './edges.ts'

/** Adds the charts to `scope`. Returns the network's policies: whoever has pods in the namespace allows their edges there. */
export function guardRegion(scope: Construct, region: Region, workloads: RegionalWorkloads): NetworkPolicies {
  const { namespace, networkPolicy, secrets } = region
  // By their names these files come right after the namespace: no pod starts before its network is closed.
  const policies = new NetworkPolicies(new Chart(scope, '00-network-policies', { namespace }), 'NetworkPolicies', {
    mode: networkPolicy
  })
  allowEdges(policies, region, workloads)
  new Secrets(new Chart(scope, '00-secrets', { namespace }), 'Secrets', { sources: secrets })
  const action = admissionOf(region)
  if (action !== 'none') {
    const { gateway, origin } = workloads
    const proxies = isBeside(region, origin) ? [origin.podLabels] : []
    const exposable = [gateway.selectorLabels, ACME_SOLVER.podLabels, ...proxies]
    new AdmissionPolicies(new Chart(scope, 'admission'), 'AdmissionPolicies', {
      ...{ namespace, action, exposable },
      makers: makersFor(region, origin)
    })
  }
  return policies
}

/** Cilium's proxy is on every node, and its load balancer's Service, beside Ingress or Gateway, selects nobody. */
function makersFor({ ingress }: Region, origin: Origin): string[] {
  return origin === 'cilium' && ingress.gateway === undefined ? ['cilium-operator'] : []
}
