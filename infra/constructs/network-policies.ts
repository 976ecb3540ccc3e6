// Closes a namespace's network, and opens it edge by edge: each edge is a policy at each end that is a pod of the namespace.
import { ApiObject } from 'cdk8s'
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'
import { type CiliumProxy, type End, isOwn, type Pods, type Port } from '../lib/network.ts'

/** Properties of `NetworkPolicies`. */
export interface NetworkPoliciesProps {
  /** `none` makes no policy at all, and `allow` does nothing: every pod may talk to every other. @default default-deny */
  readonly mode?: 'default-deny' | 'none'
}

/**
 * Nothing may connect to a pod of the namespace, and no pod may connect to anything, but for the edges that are allowed
 * here. A kubelet's probes come from the pod's own node, which every network plugin lets through.
 */
export class NetworkPolicies extends Construct {
  readonly #enforced: boolean

  constructor(scope: Construct, id: string, props: NetworkPoliciesProps = {}) {
    super(scope, id)
    this.#enforced = props.mode !== 'none'
    if (!this.#enforced) return
    new k8s.KubeNetworkPolicy(this, 'Resource', {
      metadata: metadataOf('default-deny'),
      spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }
    })
  }

  /**
   * Lets `from` connect to `to`, on every port when none is given. The policies are named after both ends, as
   * `gateway-to-engine-llama` and `engine-llama-from-gateway`.
   * @throws when neither end is a pod of the namespace, for no policy made here would have a say
   */
  allow(from: End, to: End, ...ports: readonly (number | Port)[]): void {
    if (!isOwn(from) && !isOwn(to)) {
      throw new Error(
        `neither ${from.name} nor ${to.name} is in this namespace; leave the namespace of one of them out`
      )
    }
    if (!this.#enforced) return
    const rule = ports.length === 0 ? {} : { ports: ports.map(renderPort) }
    if (isOwn(from)) {
      this.#add(`${from.name}-to-${to.name}`, from, {
        policyTypes: ['Egress'],
        egress: [{ ...rule, to: renderPeers(to) }]
      })
    }
    if (isOwn(to) && 'entity' in from)
      this.#addForCilium(`${to.name}-from-${from.name}`, from, to, ports.map(renderPort))
    else if (isOwn(to)) {
      this.#add(`${to.name}-from-${from.name}`, to, {
        policyTypes: ['Ingress'],
        ingress: [{ ...rule, from: renderPeers(from) }]
      })
    }
  }

  #addForCilium(name: string, { entity }: CiliumProxy, { podLabels }: Pods, ports: k8s.NetworkPolicyPort[]): void {
    const rule = { ports: ports.map(({ port, protocol }) => ({ port: String(port?.value), protocol })) }
    new ApiObject(this, name, {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNetworkPolicy',
      metadata: metadataOf(name),
      spec: {
        endpointSelector: select(podLabels),
        ingress: [{ fromEntities: [entity], ...(ports.length === 0 ? {} : { toPorts: [rule] }) }]
      }
    })
  }

  #add(name: string, { podLabels }: Pods, rules: Omit<k8s.NetworkPolicySpec, 'podSelector'>): void {
    new k8s.KubeNetworkPolicy(this, name, {
      metadata: metadataOf(name),
      spec: { podSelector: select(podLabels), ...rules }
    })
  }
}

function metadataOf(name: string): k8s.ObjectMeta {
  return { name, labels: labelsOf({ name: 'sluice-network', instance: 'network-policies', component: 'network' }) }
}

function renderPort(port: number | Port): k8s.NetworkPolicyPort {
  const { port: number, protocol = 'TCP' } = typeof port === 'number' ? { port } : port
  return { port: k8s.IntOrString.fromNumber(number), protocol }
}

function renderPeers(end: End): k8s.NetworkPolicyPeer[] {
  if ('entity' in end) throw new Error(`${end.name} connects to pods, and no pod of a region connects to it`)
  if ('blocks' in end) {
    return end.blocks.map(({ cidr, except }) => ({
      ipBlock: { cidr, ...(except === undefined ? {} : { except: [...except] }) }
    }))
  }
  const podSelector = select(end.podLabels)
  if (end.namespace === undefined) return [{ podSelector }]
  // The API server keeps this label on every namespace, so nobody can take another's name for their own.
  return [{ namespaceSelector: select({ 'kubernetes.io/metadata.name': end.namespace }), podSelector }]
}

function select(labels: Readonly<Record<string, string>>): k8s.LabelSelector {
  return Object.keys(labels).length === 0 ? {} : { matchLabels: { ...labels } }
}
