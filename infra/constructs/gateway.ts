// The streaming gateway of a region: Deployment, Service, configuration, identity and disruption budget.
import { createHash } from 'node:crypto'
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { type ConfigInput, configSchema, describeProblems, PORTS, type TimeBudget } from '../../gateway/contract.ts'
import { versionOf } from '../lib/image.ts'
import { type Identity, labelsOf, selectorOf } from '../lib/labels.ts'
import { restrictPod } from '../lib/pod-security.ts'
import { renderPullSecrets } from '../lib/scheduling.ts'
import type { SecretKey } from '../lib/secret.ts'
import { allowOneEviction, spreadReplicas } from '../lib/spread.ts'
import {
  CONFIG_FILE_NAME,
  FILES_VOLUME,
  type GatewayContainerProps,
  renderFiles,
  renderGatewayContainer,
  type SecretFile
} from './gateway-container.ts'

/** Properties of `Gateway`: the container's, and these. */
export interface GatewayProps extends GatewayContainerProps {
  /** `metadata.name` of every object; an RFC 1035 label. */
  readonly name: string
  /** What the pod reads at its start; refused here by the schema that the pod has. */
  readonly config: ConfigInput
  /** The file of hashed API keys, as `npm run keys` writes it. */
  readonly keysSecret: SecretKey
  /** The engines' bearer tokens, by the file that a pool's `engineKeyFile` names. @default none */
  readonly engineKeys?: readonly SecretFile[]
  /** The signing key and the Redis URL of resumable streams, by the files that `config.streams` names. @default none */
  readonly streamSecrets?: readonly SecretFile[]
  /** The gateway's part of the region's time budget. */
  readonly budget: TimeBudget['gateway']
  /** Seconds that the engines may take without which its pods are not ready. @default 0, as it waits for none */
  readonly engineStartSeconds?: number
  /** Pods that run at all times. @default 2 */
  readonly replicas?: number
  /** Secrets of private registries, in the pod's namespace. @default none */
  readonly imagePullSecrets?: readonly string[]
  /** An autoscaler owns the number, so none is written that an apply would set back. @default false */
  readonly autoscaled?: boolean
  /** Annotations of the Service: some ingress controllers read them there. @default none */
  readonly serviceAnnotations?: Readonly<Record<string, string>>
}

/** What Kubernetes gives a rollout that says nothing. */
const PROGRESS_SECONDS = 600

/** User `node` of Node's official images. */
const NODE_USER = { uid: 1000, gid: 1000, fsGroup: 1000 }

/** The gateway; an ingress routes to `serviceName` and `port`. */
export class Gateway extends Construct {
  /** The Service's name. */
  readonly serviceName: string
  /** The Service's port. */
  readonly port: number = PORTS.gateway
  /** The labels that its pods, and no others, have. */
  readonly selectorLabels: Record<string, string>

  constructor(scope: Construct, id: string, props: GatewayProps) {
    super(scope, id)
    const data = renderConfig(props.config)
    const metadata = { name: props.name, labels: labelsOf(identityOf(props)) }
    this.serviceName = props.name
    this.selectorLabels = selectorOf(identityOf(props))

    // First: kubectl applies in this order, and no pod is made before its account is there.
    new k8s.KubeServiceAccount(this, 'ServiceAccount', { metadata, automountServiceAccountToken: false })
    new k8s.KubeConfigMap(this, 'Config', { metadata, data })
    new k8s.KubeDeployment(this, 'Resource', {
      metadata,
      spec: renderDeployment(props, metadata.labels, checksum(data))
    })
    new k8s.KubeService(this, 'Service', {
      metadata: {
        ...metadata,
        ...(props.serviceAnnotations === undefined ? {} : { annotations: props.serviceAnnotations })
      },
      spec: {
        type: 'ClusterIP',
        selector: this.selectorLabels,
        ports: [{ name: 'http', port: this.port, targetPort: k8s.IntOrString.fromString('http') }]
      }
    })
    new k8s.KubePodDisruptionBudget(this, 'DisruptionBudget', {
      metadata,
      spec: allowOneEviction(this.selectorLabels)
    })
  }
}

function renderDeployment(
  props: GatewayProps,
  labels: Record<string, string>,
  configChecksum: string
): k8s.DeploymentSpec {
  const selector = selectorOf(identityOf(props))
  return {
    ...(props.autoscaled ? {} : { replicas: props.replicas ?? 2 }),
    revisionHistoryLimit: 3,
    progressDeadlineSeconds: PROGRESS_SECONDS + (props.engineStartSeconds ?? 0),
    // Full capacity at all times: a new pod is ready before an old one is told to drain.
    strategy: {
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: k8s.IntOrString.fromNumber(1), maxUnavailable: k8s.IntOrString.fromNumber(0) }
    },
    selector: { matchLabels: selector },
    template: {
      // The pods read their configuration once: another checksum rolls them.
      metadata: { labels, annotations: { 'checksum/config': configChecksum } },
      spec: renderPod(props, selector)
    }
  }
}

function identityOf(props: GatewayProps): Identity {
  return { name: 'sluice-gateway', instance: props.name, version: versionOf(props.image), component: 'gateway' }
}

function renderConfig(config: ConfigInput): Record<string, string> {
  const parsed = configSchema.safeParse(config)
  if (!parsed.success) {
    throw new Error(`the gateway would refuse its configuration: ${describeProblems(parsed.error).join('; ')}`)
  }
  return { [CONFIG_FILE_NAME]: `${JSON.stringify(config, null, 2)}\n` }
}

function checksum(data: Record<string, string>): string {
  return createHash('sha256').update(JSON.stringify(data)).digest('hex')
}

function renderPod(props: GatewayProps, selector: Record<string, string>): k8s.PodSpec {
  return {
    serviceAccountName: props.name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    // The process itself keeps serving for the propagation delay after SIGTERM, so there is no preStop.
    terminationGracePeriodSeconds: props.budget.terminationGraceSeconds,
    securityContext: restrictPod(NODE_USER),
    // Engine names are complete and have four dots; with the usual ndots of 5 each look-up would try every search domain.
    dnsConfig: { options: [{ name: 'ndots', value: '2' }] },
    containers: [renderGatewayContainer(props)],
    volumes: [
      {
        name: FILES_VOLUME,
        projected: renderFiles(props.name, props.keysSecret, [
          ...(props.engineKeys ?? []),
          ...(props.streamSecrets ?? [])
        ])
      }
    ],
    topologySpreadConstraints: spreadReplicas(selector),
    ...renderPullSecrets(props.imagePullSecrets)
  }
}
