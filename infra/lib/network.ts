// The two ends of a network edge, and the addresses that are not the internet's.

/** Pods, by their labels; without a namespace, those of the namespace that the policies are made in. */
export interface Pods {
  /** What the edge's policies call this end, as `gateway`. */
  readonly name: string
  /** All of these labels; none of them means every pod. */
  readonly podLabels: Readonly<Record<string, string>>
  /** @default the policies' own */
  readonly namespace?: string
}

/** A range of addresses outside of the cluster, less the ranges in `except`. */
export interface AddressBlock {
  readonly cidr: string
  /** @default none */
  readonly except?: readonly string[]
}

/** Addresses; nodes and load balancers are told by them, and so are pods on a node's own network. */
export interface Addresses {
  readonly name: string
  readonly blocks: readonly AddressBlock[]
}

/** Cilium's own proxy: an identity that no NetworkPolicy can name. https://docs.cilium.io/en/stable/security/policy/language/#entities-based */
export interface CiliumProxy {
  readonly name: string
  readonly entity: 'ingress'
}

/** Who connects, or who is connected to. */
export type End = Pods | Addresses | CiliumProxy

/** A port of the pod that is connected to, which a Service may show under another number. */
export interface Port {
  readonly port: number
  /** @default TCP */
  readonly protocol?: 'TCP' | 'UDP'
}

/** Whether an end is pods of the namespace that the policies are made in. */
export function isOwn(end: End): end is Pods {
  return 'podLabels' in end && end.namespace === undefined
}

/** What a private network's addresses are out of: RFC 1918, RFC 6598, which clouds let pods and subnets have, and RFC 4193. */
export const PRIVATE_NETWORKS = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'] as const

/** Every address. */
export const EVERYWHERE: readonly AddressBlock[] = [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }]

/** Every pod of the namespace. */
export const ALL_PODS: Pods = { name: 'pods', podLabels: {} }

/**
 * Everything that is routed on the internet. What is left out is private, shared, local to a link (a cloud's metadata
 * service among it), reserved or multicast: https://www.iana.org/assignments/iana-ipv4-special-registry/ and
 * https://www.iana.org/assignments/iana-ipv6-special-registry/. 64:ff9b::/96 stays: it may stand for public addresses
 * only (RFC 6052), and is how a cluster without IPv4 reaches them. ::ffff:0:0/96 is not listed: it is never on the wire,
 * and the API server, to which it is IPv4, refuses it as an exception of ::/0.
 */
export const INTERNET: readonly AddressBlock[] = [
  {
    cidr: '0.0.0.0/0',
    except: [
      '0.0.0.0/8',
      '10.0.0.0/8',
      '100.64.0.0/10',
      '127.0.0.0/8',
      '169.254.0.0/16',
      '172.16.0.0/12',
      '192.0.0.0/24',
      '192.168.0.0/16',
      '198.18.0.0/15',
      '224.0.0.0/4',
      '240.0.0.0/4'
    ]
  },
  {
    cidr: '::/0',
    except: ['::/96', '64:ff9b:1::/48', '100::/64', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8']
  }
]
