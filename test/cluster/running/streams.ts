// The ways to a stream of the region: through its ingress controller, through nginx, and from an engine itself.
import { mkdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { PORTS } from '../../../gateway/contract.ts'
import { configureNginx, f5Directives, NGINX } from '../../helpers/nginx.ts'
import type { Cluster } from '../harness/cluster.ts'
import { type Crowd, failuresOf, gapsOf, openCrowd, quantile } from '../harness/crowd.ts'
import { REPOSITORY } from '../harness/images.ts'
import { eventually } from '../harness/processes.ts'
import type { StreamOrder, StreamRecord } from '../harness/stream-reader.ts'
import { HOST, NAMESPACE, type Region } from './region.ts'

/** The model whose engine more than one of fits beside another. */
export const ENGINE = 'engine-llama-3-1-8b'
export const POOL = 'llama-3-1-8b'
export const MODEL = 'llama-3.1-8b-instruct'
export const OTHER_MODEL = 'qwen3-32b'

/** A node port of add-ons/traefik.yaml. */
const TRAEFIK_PORT = 30443
const NGINX_PORT = 8443

type Way = Omit<StreamOrder, 'count' | 'tokens'>

/** From outside, with the host and the certificate of the Ingress. */
export function traefikOrder({ plan }: Cluster, { key, certificate }: Region): Way {
  return { origin: `https://${plan.node(0)}:${TRAEFIK_PORT}`, host: HOST, certificate, key, model: MODEL }
}

export const openThroughTraefik = (
  cluster: Cluster,
  region: Region,
  order: Pick<StreamOrder, 'count' | 'tokens'> & Partial<StreamOrder>
): Crowd => openCrowd({ ...traefikOrder(cluster, region), ...order })

/** `ADDRESS:PORT` of the engine's pod. */
export async function engineAddress({ plane }: Cluster): Promise<string> {
  const selector = `app.kubernetes.io/instance=${ENGINE}`
  const { items } = await plane.kubectl.get('pods', '--namespace', NAMESPACE, '--selector', selector)
  return `${items[0].status.podIP}:${PORTS.engine}`
}

/**
 * Debian's nginx on the first node, as F5's controller would configure it from the Ingress of the region that has it. It
 * reaches the gateway by its Service, with an address of the node, as a controller in the host's network does.
 */
export async function nginxOverGateway({ plane, plan, spaces }: Cluster, region: Region): Promise<Way> {
  const file = join(REPOSITORY, 'charts-out/eu-west/ingress.yaml')
  const ingress = parseAllDocuments(readFileSync(file, 'utf8'))[0]?.toJS()
  const { spec } = await plane.kubectl.get('service', 'gateway', '--namespace', NAMESPACE)
  const [space] = spaces
  const folder = join(space.folder, 'nginx')
  mkdirSync(folder)
  const args = configureNginx(
    {
      folder,
      listen: `${plan.node(0)}:${NGINX_PORT}`,
      upstream: `http://${spec.clusterIP}:${PORTS.gateway}`,
      tls: { certificate: region.certificate, key: region.certificateKey }
    },
    f5Directives(ingress.metadata.annotations)
  )
  space.start('nginx', NGINX ?? 'nginx', args)
  await eventually('nginx listens', () => accepts(plan.node(0), NGINX_PORT))
  return { ...traefikOrder({ plan } as Cluster, region), origin: `https://${plan.node(0)}:${NGINX_PORT}` }
}

/** Whether somebody takes connections there. */
function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (accepted: boolean) => {
      socket.destroy()
      resolve(accepted)
    }
    const socket = connect({ host, port })
    socket.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}

export interface Pace {
  readonly medianMs: number
  readonly p95Ms: number
}

/** Few enough for one core, enough tokens for a 95th percentile. */
const SAMPLE = { count: 5, tokens: 150 }
const ROUNDS = 4

function paceOf(streams: readonly StreamRecord[]): Pace {
  const failures = failuresOf(streams)
  if (failures.length > 0) throw new Error(`a stream to be measured was cut: ${failures[0]}`)
  const gaps = streams.flatMap(gapsOf).sort((a, b) => a - b)
  return { medianMs: Math.round(quantile(gaps, 0.5)), p95Ms: Math.round(quantile(gaps, 0.95)) }
}

/**
 * The gaps between tokens at a client, beside those at a reader of the engine's own port at the same time. A machine that
 * is busy with something else only ever widens them, so the best of some rounds is what counts.
 */
export async function comparePaces(
  cluster: Cluster,
  region: Region,
  way: Way
): Promise<{ readonly engine: Pace; readonly client: Pace }> {
  const origin = `http://${await engineAddress(cluster)}`
  const enter = ['nsenter', '--target', `${cluster.spaces[0].pid}`, '--net', '--']
  const rounds: { engine: Pace; client: Pace }[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const direct = openCrowd({ origin, key: region.engineKey, model: MODEL, ...SAMPLE }, enter)
    const through = openCrowd({ ...way, ...SAMPLE })
    const [engine, client] = [paceOf((await direct.ended).streams), paceOf((await through.ended).streams)]
    rounds.push({ engine, client })
    if (client.p95Ms < engine.p95Ms * 1.1) break
  }
  const [best] = rounds.sort((a, b) => a.client.p95Ms / a.engine.p95Ms - b.client.p95Ms / b.engine.p95Ms)
  return best as { engine: Pace; client: Pace }
}
