// Decides as a network plugin does whether NetworkPolicies let one pod or address connect to another.
// https://kubernetes.io/docs/concepts/services-networking/network-policies/
import { BlockList, isIPv6 } from 'node:net'
import type { Manifest } from './stacks.ts'

/** A pod, or whatever is outside of the cluster when it has no namespace. */
export interface Party {
  readonly address: string
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Cilium's own proxy, which only Cilium's own policies can name. */
  readonly entity?: 'ingress'
}

/** What is connected to, and how. */
export interface Connection {
  readonly from: Party
  readonly to: Party
  readonly port: number
  /** @default TCP */
  readonly protocol?: 'TCP' | 'UDP'
}

/** Whether the policies among `manifests` let it through: the sender's egress and the receiver's ingress both have a say. */
export function isAllowed(manifests: readonly Manifest[], connection: Connection): boolean {
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy')
  const { from, to } = connection
  const isIngressOpen =
    isOpen(policies, 'Ingress', to, from, connection) ||
    manifests.some((one) => one.kind === 'CiliumNetworkPolicy' && namesEntity(one, connection))
  return isOpen(policies, 'Egress', from, to, connection) && isIngressOpen
}

/** Whether a policy of Cilium's lets its proxy in; the proxy's identity is none of the addresses that policies have. */
function namesEntity({ metadata, spec }: Manifest, { from, to, port, protocol = 'TCP' }: Connection): boolean {
  if (metadata.namespace !== to.namespace || !selects(spec.endpointSelector, to.labels)) return false
  return spec.ingress.some(
    ({ fromEntities, toPorts }: Manifest) =>
      fromEntities.includes(from.entity) &&
      toPorts.some(({ ports }: Manifest) =>
        ports.some((one: Manifest) => one.port === String(port) && one.protocol === protocol)
      )
  )
}

/** A party that no policy of this direction selects is open; another is open to what at least one rule names. */
function isOpen(
  policies: readonly Manifest[],
  direction: 'Ingress' | 'Egress',
  subject: Party,
  peer: Party,
  connection: Connection
): boolean {
  const [rules, peers] = direction === 'Ingress' ? ['ingress', 'from'] : ['egress', 'to']
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === subject.namespace &&
      typesOf(spec).includes(direction) &&
      selects(spec.podSelector, subject.labels)
  )
  if (selecting.length === 0) return true
  return selecting.some(({ metadata, spec }) =>
    (spec[rules] ?? []).some(
      (rule: Manifest) =>
        (rule.ports === undefined || rule.ports.some((port: Manifest) => isPort(port, connection))) &&
        (rule[peers] === undefined || rule[peers].some((one: Manifest) => isPeer(one, peer, metadata.namespace)))
    )
  )
}

/** Without `policyTypes`, a policy is about ingress, and about egress when it has rules for it. */
function typesOf(spec: Manifest): string[] {
  return spec.policyTypes ?? ['Ingress', ...(spec.egress === undefined ? [] : ['Egress'])]
}

function isPort({ port, endPort, protocol = 'TCP' }: Manifest, connection: Connection): boolean {
  if (typeof port === 'string') throw new Error(`the port ${port} is a name, which this evaluator can't look up`)
  const isInRange = port === undefined || (connection.port >= port && connection.port <= (endPort ?? port))
  return isInRange && protocol === (connection.protocol ?? 'TCP')
}

function isPeer({ ipBlock, namespaceSelector, podSelector }: Manifest, party: Party, own: string): boolean {
  // Some plugins match the addresses of pods, too; the wider reading is the one to be safe under.
  if (ipBlock !== undefined)
    return (
      party.entity === undefined &&
      contains(ipBlock.cidr, party.address) &&
      !ipBlock.except?.some((cidr: string) => contains(cidr, party.address))
    )
  if (party.namespace === undefined) return false
  const isInNamespace =
    namespaceSelector === undefined
      ? party.namespace === own
      : selects(namespaceSelector, { 'kubernetes.io/metadata.name': party.namespace })
  return isInNamespace && selects(podSelector ?? {}, party.labels)
}

function selects(selector: Manifest, labels: Readonly<Record<string, string>> = {}): boolean {
  const { matchLabels = {}, ...rest } = selector
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw new Error(`this evaluator knows matchLabels only, not ${unknown}`)
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value)
}

function contains(cidr: string, address: string): boolean {
  const [network = '', bits] = cidr.split('/')
  const family = isIPv6(network) ? 'ipv6' : 'ipv4'
  if ((family === 'ipv6') !== isIPv6(address)) return false
  const list = new BlockList()
  list.addSubnet(network, Number(bits), family)
  return list.check(address, family)
}
