// A whole cluster on this machine: a control plane, two nodes with GPUs, DNS and an ingress controller.
import { join } from 'node:path'
import { type ControlPlane, NODES, startControlPlane } from './control-plane.ts'
import { readDefinitions, untilServed } from './crds.ts'
import { builtImage, engineImage, gatewayImage, pauseImage } from './images.ts'
import type { KubernetesObject } from './kubectl.ts'
import { type AddressPlan, connectNodes } from './network.ts'
import { startNode } from './node.ts'
import { type NodeSpace, openNodeSpace } from './node-space.ts'
import { openWorkshop } from './processes.ts'
import { sourcesOf } from './programs.ts'

export interface Cluster extends AsyncDisposable {
  readonly plane: ControlPlane
  readonly plan: AddressPlan
  readonly spaces: readonly [NodeSpace, NodeSpace]
}

export interface ClusterImages {
  readonly gateway: string
  readonly engine: string
}

const ADD_ONS = join(import.meta.dirname, '..', 'add-ons')

const API_SERVER_ARGS = [
  // no resolver here knows a node by its name
  '--kubelet-preferred-address-types=InternalIP',
  // node-size.yaml has one: they are beta in 1.34, and off by default
  '--feature-gates=MutatingAdmissionPolicy=true',
  '--runtime-config=admissionregistration.k8s.io/v1beta1=true'
]

const COREDNS_IMAGE = 'registry.k8s.io/coredns/coredns:v1.14.6'
const TRAEFIK_IMAGE = 'docker.io/traefik:v3.6.12'

/** GPU nodes with two products, as a region has them; the second one is for those pods only that tolerate its taint. */
async function startNodes(spaces: Cluster['spaces'], plane: ControlPlane, plan: AddressPlan, images: ClusterImages) {
  const [pause, gateway, engine, coredns, traefik] = [
    await pauseImage(),
    await gatewayImage(images.gateway),
    await engineImage(images.engine),
    await builtImage(COREDNS_IMAGE, 'coredns', 'coredns'),
    await builtImage(TRAEFIK_IMAGE, 'traefik', 'traefik')
  ]
  const product = (name: string) => ({ 'nvidia.com/gpu.product': name })
  await startNode(spaces[0], plane, plan, 0, {
    labels: { ...product('NVIDIA-L40S'), 'topology.kubernetes.io/zone': 'zone-a' },
    images: [pause, gateway, engine, coredns, traefik]
  })
  await startNode(spaces[1], plane, plan, 1, {
    labels: { ...product('NVIDIA-H100-80GB-HBM3'), 'topology.kubernetes.io/zone': 'zone-b' },
    taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }],
    images: [pause, engine]
  })
}

/**
 * The kinds of a region, and all of Traefik's own: it takes no route as long as one of its kinds is not there, whether a
 * region has an object of that kind or not.
 */
async function defineKinds({ kubectl }: ControlPlane): Promise<void> {
  const definitions = { apiVersion: 'v1', kind: 'List', items: await readDefinitions() }
  await kubectl.run(['create', '--filename=-'], JSON.stringify(definitions))
  const sources = await sourcesOf('traefik', 'github.com/traefik/traefik/v3')
  const file = 'docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml'
  await kubectl.run(['apply', '--server-side', '--force-conflicts', `--filename=${join(sources, file)}`])
  const { items } = await kubectl.get('customresourcedefinitions')
  await untilServed(
    kubectl,
    items.map(({ metadata }: KubernetesObject) => metadata.name)
  )
}

/** Starts all of it; DNS and the ingress controller are asked for but not waited for. */
export async function startCluster(images: ClusterImages): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const workshop = stack.use(openWorkshop())
  const first = stack.use(await openNodeSpace(workshop, NODES[0]))
  const second = stack.use(await openNodeSpace(workshop, NODES[1]))
  const plan = await connectNodes(first, second)
  const plane = stack.use(
    await startControlPlane({ address: plan.outside(0), reconciles: true, apiServerArgs: API_SERVER_ARGS })
  )
  const spaces = [first, second] as const
  await plane.kubectl.run(['apply', `--filename=${join(ADD_ONS, 'node-size.yaml')}`])
  await startNodes(spaces, plane, plan, images)
  await defineKinds(plane)
  for (const name of ['coredns', 'traefik']) {
    await plane.kubectl.run(['apply', `--filename=${join(ADD_ONS, `${name}.yaml`)}`])
  }
  const owned = stack.move()
  return { plane, plan, spaces, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
