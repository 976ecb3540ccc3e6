// Who may talk to whom in a region: every edge of its network.

import type { Origin, OriginPods } from '../constructs/ingress-profiles/profile.ts'
import type { WarmUp } from '../constructs/model-cache.ts'
import { WARM_UP_LABELS } from '../constructs/model-warm-up.ts'
import type { NetworkPolicies } from '../constructs/network-policies.ts'
import type { TokenServer } from '../lib/cloud-identity.ts'
import { ALL_PODS, type End, EVERYWHERE, INTERNET, type Pods, type Port } from '../lib/network.ts'
import type { Peer } from '../schema/network.ts'
import type { Region } from '../schema.ts'

/** A workload of the region that listens. */
export interface Workload {
  /** Its Service's name. */
  readonly serviceName: string
  readonly selectorLabels: Readonly<Record<string, string>>
  readonly port: number
}

/** Engines of one model, and the pods that are there for them. */
export interface EngineWorkload extends Workload {
  /** The other pods of a replica that is spread over nodes. */
  readonly workerLabels?: Readonly<Record<string, string>>
  /** Who fills the cache. */
  readonly warmUp?: WarmUp
  /** Whom its pods ask for the cloud's tokens. */
  readonly tokenServer?: TokenServer
}

/** The ends of a region's edges. */
export interface RegionalWorkloads {
  readonly gateway: Workload
  readonly engines: readonly EngineWorkload[]
  /** Where the way in leads to the gateway from, unless the region says otherwise. */
  readonly origin: Origin
}

/** cert-manager's pods that answer HTTP-01 challenges in the Ingress's namespace, and their port. https://cert-manager.io/docs/configuration/acme/http01/ */
export const ACME_SOLVER: Pods = { name: 'acme-solver', podLabels: { 'acme.cert-manager.io/http01-solver': 'true' } }
const ACME_SOLVER_PORT = 8089

/** What the listeners of a Gateway of the region's own are on. */
const PROXY_PORT = 443

/** Where kube-prometheus runs Prometheus. */
const KUBE_PROMETHEUS: Peer = { namespace: 'monitoring', podLabels: { 'app.kubernetes.io/name': 'prometheus' } }

/** Opens the way in, to the engines, to DNS, models and metrics, and nothing else: no edge leads to the API server. */
export function allowEdges(policies: NetworkPolicies, region: Region, workloads: RegionalWorkloads): void {
  const { network, ingress } = region
  const gateway = podsOf(workloads.gateway)
  const { port } = workloads.gateway
  const origin = network.ingressController ?? workloads.origin
  const controller = endOf(region, 'ingress-controller', origin)
  const scrapers = scrapersOf(region)

  for (const { end, ports } of dnsServersOf(region)) policies.allow(ALL_PODS, end, ...ports)
  policies.allow(controller, gateway, port)
  if (network.ingressController === undefined) openProxies(policies, region, workloads.origin, controller)
  if (ingress.tls?.clusterIssuer !== undefined) policies.allow(controller, ACME_SOLVER, ACME_SOLVER_PORT)
  for (const [name, peer] of Object.entries(network.clients)) {
    policies.allow(endOf(region, `client-${name}`, peer), gateway, port)
  }
  for (const scraper of scrapers) policies.allow(scraper, gateway, port)
  const redis = region.gateway.streams?.redis
  if (redis !== undefined) policies.allow(gateway, endOf(region, 'redis', redis.at), redis.port)
  for (const workload of workloads.engines) {
    const engine = podsOf(workload)
    policies.allow(gateway, engine, workload.port)
    // vLLM has its metrics on the port that it serves on, so there is no narrower edge.
    for (const scraper of scrapers) policies.allow(scraper, engine, workload.port)
    joinGroup(policies, engine, workersOf(workload))
    openTokens(policies, workload)
  }
  for (const { end, ports } of modelSourcesOf(region)) {
    for (const pods of downloadersOf(workloads)) policies.allow(pods, end, ...ports)
  }
}

/** A controller that runs its proxies beside the gateway has them in this namespace: open to clients, and told what to do. */
function openProxies(policies: NetworkPolicies, region: Region, origin: Origin, proxies: End): void {
  if (!isBeside(region, origin)) return
  policies.allow({ name: 'clients', blocks: EVERYWHERE }, proxies, PROXY_PORT)
  const { controlPlane } = origin
  if (controlPlane !== undefined)
    policies.allow(proxies, endOf(region, 'control-plane', controlPlane), controlPlane.port)
}

/** Whether the way in is pods of the region's own namespace. */
export function isBeside({ namespace }: Region, origin: Origin): origin is OriginPods {
  return origin !== 'cilium' && 'namespace' in origin && origin.namespace === namespace
}

/** The pods of a replica on several nodes find their ports by themselves: NCCL and PyTorch take any that is free. */
function joinGroup(policies: NetworkPolicies, engine: Pods, workers: readonly Pods[]): void {
  for (const worker of workers) {
    policies.allow(engine, worker)
    policies.allow(worker, engine)
    policies.allow(worker, worker)
  }
}

/** The one address of a cloud's own that an engine may reach, and only one that has an identity of that cloud. */
function openTokens(policies: NetworkPolicies, workload: EngineWorkload): void {
  const { tokenServer } = workload
  if (tokenServer === undefined) return
  for (const pods of [podsOf(workload), ...workersOf(workload)]) {
    policies.allow(pods, tokenServer.end, ...tokenServer.ports)
  }
}

/** Whoever loads weights: every pod of an engine, and the Jobs that fill caches. */
function downloadersOf({ engines }: RegionalWorkloads): Pods[] {
  const hasJobs = engines.some(({ warmUp }) => warmUp?.by === 'job')
  return [
    ...engines.flatMap((workload) => [podsOf(workload), ...workersOf(workload)]),
    ...(hasJobs ? [{ name: 'model-warm-up', podLabels: WARM_UP_LABELS }] : [])
  ]
}

function workersOf({ serviceName, workerLabels }: EngineWorkload): Pods[] {
  return workerLabels === undefined ? [] : [{ name: `${serviceName}-worker`, podLabels: workerLabels }]
}

function podsOf({ serviceName, selectorLabels }: Workload): Pods {
  return { name: serviceName, podLabels: selectorLabels }
}

/** A peer in the region's own namespace is closed by default, too: without a namespace, its end of the edge is opened as well. */
function endOf({ namespace }: Region, name: string, peer: Peer | Origin): End {
  if (peer === 'cilium') return { name, entity: 'ingress' }
  if ('cidrs' in peer) return { name, blocks: peer.cidrs.map((cidr) => ({ cidr })) }
  const { podLabels } = peer
  return peer.namespace === namespace ? { name, podLabels } : { name, podLabels, namespace: peer.namespace }
}

function scrapersOf(region: Region): End[] {
  const { network, cluster } = region
  const { prometheus = cluster.apis.includes('prometheus-operator') ? KUBE_PROMETHEUS : 'none' } = network
  return prometheus === 'none' ? [] : [endOf(region, 'prometheus', prometheus)]
}

function dnsServersOf(region: Region): Destination[] {
  const { port, nodeLocal, ...pods } = region.network.dns
  const overBoth = (number: number): Port[] => [
    { port: number, protocol: 'UDP' },
    { port: number, protocol: 'TCP' }
  ]
  const blocks = nodeLocal.map((address) => ({ cidr: `${address}/${address.includes(':') ? 128 : 32}` }))
  return [
    { end: endOf(region, 'dns', pods), ports: overBoth(port) },
    ...(blocks.length === 0 ? [] : [{ end: { name: 'node-local-dns', blocks }, ports: overBoth(53) }])
  ]
}

function modelSourcesOf(region: Region): Destination[] {
  const { modelSource: source } = region.network
  if (source === 'none') return []
  const name = 'model-source'
  if (source === 'internet') return [{ end: { name, blocks: INTERNET }, ports: [{ port: 443 }] }]
  return [{ end: endOf(region, name, { cidrs: source.cidrs }), ports: source.ports.map((port) => ({ port })) }]
}

interface Destination {
  readonly end: End
  readonly ports: readonly Port[]
}
