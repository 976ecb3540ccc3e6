// What reconciles LeaderWorkerSets: their own controller, whose webhooks the API reaches on the loopback.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { freePort } from '../../helpers/free-port.ts'
import type { ControlPlane } from './control-plane.ts'
import type { KubernetesObject } from './kubectl.ts'
import { eventually } from './processes.ts'
import { buildProgram, sourcesOf } from './programs.ts'

/** Selects the pods of groups: without it no pod of the cluster would start while the controller is away. */
const ONLY_GROUPS = { matchExpressions: [{ key: 'leaderworkerset.sigs.k8s.io/name', operator: 'Exists' }] }

/** The controller's own webhook configurations, told to call this process in place of a Service. */
function readWebhooks(folder: string, port: number, authority: string): KubernetesObject[] {
  const text = readFileSync(join(folder, 'config', 'webhook', 'manifests.yaml'), 'utf8')
  return parseAllDocuments(text).map((document) => {
    const configuration = document.toJS()
    for (const webhook of configuration.webhooks) {
      const { path } = webhook.clientConfig.service
      webhook.clientConfig = { url: `https://127.0.0.1:${port}${path}`, caBundle: authority }
      if (path.endsWith('-pod')) webhook.objectSelector = ONLY_GROUPS
    }
    return configuration
  })
}

/** A set as short as its definition lets it be. */
const renderSet = (name: string): string =>
  JSON.stringify({
    apiVersion: 'leaderworkerset.x-k8s.io/v1',
    kind: 'LeaderWorkerSet',
    metadata: { name, namespace: 'default' },
    spec: { leaderWorkerTemplate: { workerTemplate: { spec: { containers: [{ name: 'asked', image: 'asked' }] } } } }
  })

/**
 * Whether the API asks the controller: it completes a set, and refuses one whose name is none of a Service. The API reads
 * its two configurations a moment after they are made, and the controller calls itself ready before it listens.
 */
async function areWebhooksOn({ kubectl }: ControlPlane): Promise<boolean> {
  const ask = (name: string) =>
    kubectl.try(['create', '--dry-run=server', '--output=json', '--filename=-'], renderSet(name))
  const { code, stdout } = await ask('asked')
  if (code !== 0 || JSON.parse(stdout).spec.networkConfig === undefined) return false
  return (await ask('asked.for')).stderr.includes('vleaderworkerset.kb.io')
}

/** Starts it and waits until groups may be made. It ends with the control plane's workshop. */
export async function startLeaderWorkerSets(plane: ControlPlane): Promise<void> {
  const { kubectl, workshop, certificate } = plane
  const [port, healthPort] = [await freePort(), await freePort()]
  const certDir = join(workshop.folder, 'lws')
  mkdirSync(certDir)
  // the API's own self-signed certificate names the loopback, and the API trusts it
  copyFileSync(certificate, join(certDir, 'tls.crt'))
  copyFileSync(certificate.replace(/crt$/, 'key'), join(certDir, 'tls.key'))
  const configuration = {
    apiVersion: 'config.lws.x-k8s.io/v1alpha1',
    kind: 'Configuration',
    leaderElection: { leaderElect: false },
    internalCertManagement: { enable: false },
    webhook: { host: '127.0.0.1', port, certDir },
    metrics: { bindAddress: '0' },
    health: { healthProbeBindAddress: `127.0.0.1:${healthPort}` }
  }
  writeFileSync(join(certDir, 'configuration.yaml'), JSON.stringify(configuration))
  const folder = await sourcesOf('leader-worker-set', 'sigs.k8s.io/lws')
  const definition = join(folder, 'config', 'crd', 'bases', 'leaderworkerset.x-k8s.io_leaderworkersets.yaml')
  await kubectl.run(['create', '--filename=-'], JSON.stringify(parse(readFileSync(definition, 'utf8'))))
  const isServed = async () => (await kubectl.try(['get', 'leaderworkersets', '--all-namespaces'])).code === 0
  await eventually('LeaderWorkerSets are served', isServed)
  const controller = workshop.start('lws-manager', await buildProgram('leader-worker-set', 'lws-manager'), [
    `--kubeconfig=${plane.kubeconfigOf('admin')}`,
    `--config=${join(certDir, 'configuration.yaml')}`,
    '--leader-elect=false',
    '--metrics-bind-address=0',
    `--health-probe-bind-address=127.0.0.1:${healthPort}`
  ])
  const authority = readFileSync(certificate).toString('base64')
  const webhooks = { apiVersion: 'v1', kind: 'List', items: readWebhooks(folder, port, authority) }
  await kubectl.run(['create', '--filename=-'], JSON.stringify(webhooks))
  const isServing = async () => {
    controller.assertAlive()
    return await areWebhooksOn(plane)
  }
  await eventually('the controller of LeaderWorkerSets is ready', isServing, { state: () => controller.tail() })
}
