// A pod that has no business with an engine, and tries to reach it all the same.
import type { Cluster } from '../harness/cluster.ts'
import { IMAGES, NAMESPACE } from './region.ts'

/** Asks an engine for its models: without a key it says 401, which is an answer. A policy drops or rejects. */
const script = (address: string) => `
fetch('http://${address}/v1/models', { signal: AbortSignal.timeout(4000) })
  .then(({ status }) => console.log(status), () => console.log('unreachable'))
`

const renderPod = (name: string, namespace: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name,
        image: IMAGES.gateway,
        command: ['sleep', '600'],
        resources: { limits: { cpu: '1', memory: '256Mi' } },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }
      }
    ]
  }
})

/** @param from a pod of its own, or one of the gateway's @returns the status that it got, or `unreachable` */
export async function tryToReach(
  { plane }: Cluster,
  address: string,
  from: 'gateway' | 'bystander',
  namespace = NAMESPACE
): Promise<string> {
  const { kubectl } = plane
  const ask = async (target: string) =>
    (await kubectl.run(['exec', '--namespace', namespace, target, '--', 'node', '--eval', script(address)])).trim()
  if (from === 'gateway') return ask('deployment/gateway')
  await kubectl.run(['create', '--filename=-'], JSON.stringify(renderPod(from, namespace)))
  try {
    await kubectl.run(['wait', '--namespace', namespace, `pod/${from}`, '--for=condition=Ready', '--timeout=120s'])
    return await ask(from)
  } finally {
    await kubectl.run(['delete', '--namespace', namespace, 'pod', from, '--wait=true'])
  }
}
