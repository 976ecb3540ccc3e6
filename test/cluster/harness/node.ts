// A node of a cluster: containerd, kubelet, kube-proxy and what enforces NetworkPolicies, in namespaces of its own.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CNI_PLUGINS } from '../tiers.ts'
import { type ControlPlane, NODE_RELEASE, nodeUser } from './control-plane.ts'
import { PAUSE_IMAGE } from './images.ts'
import { type AddressPlan, DNS_ADDRESS, SERVICE_RANGE } from './network.ts'
import type { NodeSpace } from './node-space.ts'
import { eventually, type Started } from './processes.ts'
import { buildProgram } from './programs.ts'

export interface NodeOptions {
  readonly labels: Readonly<Record<string, string>>
  readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[]
  /** Archives of images that its pods may use. */
  readonly images: readonly string[]
}

const SOCKET = '/run/containerd/containerd.sock'

const containerdConfig = (folder: string) => `
version = 2
root = "${folder}/containerd"
state = "/run/containerd"
# these look for their file systems, or make folders outside of root
disabled_plugins = [${['aufs', 'btrfs', 'devmapper', 'zfs'].map((name) => `"io.containerd.snapshotter.v1.${name}"`)}, "io.containerd.internal.v1.opt"]
[grpc]
  address = "${SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # a machine may not let its root lower a score: then containers keep that of containerd
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${CNI_PLUGINS}"
    conf_dir = "${folder}/cni"
`

const bridgeConfig = (folder: string, pods: string) => ({
  cniVersion: '0.4.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'pods0',
      isGateway: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        dataDir: join(folder, 'addresses'),
        ranges: [[{ subnet: pods }]],
        routes: [{ dst: '0.0.0.0/0' }]
      }
    }
  ]
})

const kubeletConfig = (space: NodeSpace, { taints = [] }: NodeOptions) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  // who reaches it is the test alone
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  cgroupDriver: 'cgroupfs',
  cgroupRoot: space.group,
  failCgroupV1: false,
  oomScoreAdj: 0,
  failSwapOn: false,
  containerRuntimeEndpoint: `unix://${SOCKET}`,
  clusterDNS: [DNS_ADDRESS],
  clusterDomain: 'cluster.local',
  resolvConf: join(space.folder, 'resolv.conf'),
  podLogsDir: join(space.folder, 'pod-logs'),
  volumePluginDir: join(space.folder, 'volume-plugins'),
  registerWithTaints: taints,
  // a full disk of the machine is not what is tested
  evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  imageGCHighThresholdPercent: 100
})

async function startContainerd(space: NodeSpace, plan: AddressPlan, index: number): Promise<void> {
  const { folder } = space
  mkdirSync(join(folder, 'cni'))
  writeFileSync(join(folder, 'containerd.toml'), containerdConfig(folder))
  writeFileSync(join(folder, 'cni', 'pods.conflist'), JSON.stringify(bridgeConfig(folder, plan.pods(index))))
  const containerd = space.start('containerd', 'containerd', ['--config', join(folder, 'containerd.toml')])
  const answers = async () => {
    containerd.assertAlive()
    return space.run('ctr', '--address', SOCKET, 'version').then(
      () => true,
      () => false
    )
  }
  await eventually(`containerd of ${space.name}`, answers, { withinMs: 30_000, state: () => containerd.tail() })
}

/** Makes an image known under the name that it was built with. */
const importImage = (space: NodeSpace, archive: string): Promise<string> =>
  space.run('ctr', '--address', SOCKET, '--namespace', 'k8s.io', 'images', 'import', archive)

async function startKubelet(
  space: NodeSpace,
  plane: ControlPlane,
  plan: AddressPlan,
  index: number,
  options: NodeOptions
) {
  const { folder, name } = space
  const config = join(folder, 'kubelet.json')
  writeFileSync(join(folder, 'resolv.conf'), '')
  writeFileSync(config, JSON.stringify(kubeletConfig(space, options)))
  const labels = Object.entries(options.labels).map(([key, value]) => `${key}=${value}`)
  return space.start('kubelet', await buildProgram(NODE_RELEASE, 'kubelet'), [
    `--config=${config}`,
    `--kubeconfig=${plane.kubeconfigOf(nodeUser(name))}`,
    `--root-dir=${join(folder, 'kubelet')}`,
    `--cert-dir=${join(folder, 'pki')}`,
    `--hostname-override=${name}`,
    `--node-ip=${plan.node(index)}`,
    `--node-labels=${labels.join(',')}`
  ])
}

async function startNetwork(space: NodeSpace, plane: ControlPlane, plan: AddressPlan): Promise<void> {
  space.start('kube-proxy', await buildProgram(NODE_RELEASE, 'kube-proxy'), [
    `--kubeconfig=${plane.kubeconfigOf('system:kube-proxy')}`,
    `--hostname-override=${space.name}`,
    `--cluster-cidr=${plan.cluster}`,
    '--proxy-mode=iptables',
    '--oom-score-adj=0',
    // the limits of connection tracking are the machine's
    '--conntrack-max-per-core=0',
    '--conntrack-tcp-timeout-established=0s',
    '--conntrack-tcp-timeout-close-wait=0s'
  ])
  space.start('kube-router', await buildProgram('kube-router', 'kube-router'), [
    `--kubeconfig=${plane.kubeconfigOf('admin')}`,
    `--hostname-override=${space.name}`,
    `--service-cluster-ip-range=${SERVICE_RANGE}`,
    '--run-firewall=true',
    '--run-router=false',
    '--run-service-proxy=false',
    '--enable-cni=false'
  ])
}

/** What is wrong when a node does not become ready: its object's conditions and the end of kubelet's log. */
async function describeNode(plane: ControlPlane, name: string, kubelet: Started): Promise<string> {
  const { stdout } = await plane.kubectl.try(['get', 'node', name, '--output=jsonpath={.status.conditions}'])
  return `${stdout}\n${kubelet.tail()}`
}

/** Starts the programs of a node and waits until Kubernetes calls it ready. They end with the space. */
export async function startNode(
  space: NodeSpace,
  plane: ControlPlane,
  plan: AddressPlan,
  index: number,
  options: NodeOptions
): Promise<void> {
  await startContainerd(space, plan, index)
  for (const archive of options.images) await importImage(space, archive)
  const kubelet = await startKubelet(space, plane, plan, index, options)
  const isReady = async () => {
    kubelet.assertAlive()
    const wanted = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    return (await plane.kubectl.try(['get', 'node', space.name, wanted])).stdout === 'True'
  }
  const state = () => describeNode(plane, space.name, kubelet)
  await eventually(`node ${space.name} is ready`, isReady, { withinMs: 120_000, everyMs: 500, state })
  await startNetwork(space, plane, plan)
}
