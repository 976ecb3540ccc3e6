// The schema of a region's network: where those run that may talk to its pods, and whom its pods may talk to.
import { z } from 'zod'
import { DNS_LABEL, LABEL_KEY, LABEL_VALUE } from '../lib/names.ts'
import { named } from './parts.ts'

const podLabels = z.record(named(LABEL_KEY), named(LABEL_VALUE))
const port = z.int().min(1).max(65_535)
const address = z.union([z.ipv4(), z.ipv6()], { error: 'use an address, as 169.254.20.10' })
const cidr = z.union([z.cidrv4(), z.cidrv6()], { error: 'use a range of addresses, as 10.0.0.0/16' })

/** Pods of a namespace, all of them when no labels are given, or addresses: pods on a node's network, load balancers. */
export const peer = z.union(
  [z.strictObject({ namespace: named(DNS_LABEL), podLabels: podLabels.default({}) }), cidrs()],
  {
    error: 'give pods as { namespace, podLabels }, or addresses as { cidrs: ["10.0.0.0/16"] }'
  }
)
export type Peer = z.output<typeof peer>

function cidrs() {
  return z.strictObject({ cidrs: z.array(cidr).min(1).max(64) })
}

export const networkPolicySchema = z
  .enum(['default-deny', 'none'], { error: 'use default-deny, or none to leave policies to somebody else' })
  .default('default-deny')

export const networkSchema = z.strictObject({
  /** Where the ingress controller runs. Default: where its own chart puts it. */
  ingressController: peer.exactOptional(),
  /** Who may call the gateway from inside the cluster, past the ingress, by a name of yours. */
  clients: z.record(named(DNS_LABEL), peer).default({}),
  /** Who reads metrics. Default: kube-prometheus' pods where the cluster has `prometheus-operator`, or else nobody. */
  prometheus: z
    .union([z.literal('none'), peer], {
      error: 'give pods as { namespace, podLabels }, addresses as { cidrs: ["10.0.0.0/16"] }, or none'
    })
    .exactOptional(),
  dns: z
    .strictObject({
      namespace: named(DNS_LABEL).default('kube-system'),
      podLabels: podLabels.default({ 'k8s-app': 'kube-dns' }),
      /** The port of the DNS server's pods, over UDP and TCP. */
      port: port.default(53),
      /** Where a DNS cache on the node listens, usually 169.254.20.10. */
      nodeLocal: z.array(address).max(8).default([])
    })
    .prefault({}),
  /**
   * Where engines get their models: `internet` is every public address over HTTPS; `none` is for caches that are filled
   * already; or the addresses of a mirror, a proxy or a private endpoint.
   */
  modelSource: z
    .union([z.enum(['internet', 'none']), cidrs().extend({ ports: z.array(port).min(1).max(16).default([443]) })], {
      error: 'use internet, none, or { cidrs: ["10.2.0.0/24"], ports: [443] }'
    })
    .default('internet')
})
