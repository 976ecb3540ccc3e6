// The gateway's container, and the files that are mounted for it: configuration, API keys, engine keys.
import { posix } from 'node:path'
import { k8s } from 'cdk8s-plus-28'
import { ENV, FILES, PATHS, PORTS } from '../../gateway/contract.ts'
import { restrictContainer } from '../lib/pod-security.ts'
import { mebibytesOf, resourcesOf } from '../lib/quantity.ts'
import type { SecretKey } from '../lib/secret.ts'

/** Properties of the gateway's container. */
export interface GatewayContainerProps {
  /** Pinned image, as `ghcr.io/sluice/gateway:0.1.0`. */
  readonly image: string
  /** CPU cores that are requested: relaying is one thread's work. The limit is twice as much. @default 1 */
  readonly cpu?: number
  /** Memory in MiB, request and limit. Bodies in flight are held here. @default 1024 */
  readonly memoryMiB?: number
}

export const FILES_VOLUME = 'files'
const FILES_DIRECTORY = posix.dirname(FILES.config)
export const CONFIG_FILE_NAME = posix.basename(FILES.config)

/** Where the bearer token of a pool's engines is mounted. */
export function engineKeyFile(pool: string): string {
  return posix.join(FILES_DIRECTORY, 'engine-keys', pool)
}

/** Where the secrets of resumable streams are mounted. */
export const STREAM_FILES = {
  signingKey: posix.join(FILES_DIRECTORY, 'streams', 'signing-key'),
  redisUrl: posix.join(FILES_DIRECTORY, 'streams', 'redis-url')
} as const

/** A file of the gateway whose content is a value of a Secret. */
export interface SecretFile {
  /** Its path, as the configuration names it. */
  readonly file: string
  readonly secret: SecretKey
}

/**
 * One projected volume for every file: a Secret can't be mounted below a ConfigMap's mount, which is read-only. It is
 * mounted as a whole, so kubelet brings changes of it: the gateway takes other API keys while it runs, and everything else when
 * it starts.
 */
export function renderFiles(
  configMap: string,
  keysSecret: SecretKey,
  secretFiles: readonly SecretFile[]
): k8s.ProjectedVolumeSource {
  const fromSecret = (file: string, { name, key }: SecretKey): k8s.VolumeProjection => ({
    secret: { name, items: [{ key, path: posix.relative(FILES_DIRECTORY, file) }] }
  })
  return {
    // Owner and group may read, nobody else.
    defaultMode: 0o440,
    sources: [
      { configMap: { name: configMap, items: [{ key: CONFIG_FILE_NAME, path: CONFIG_FILE_NAME }] } },
      fromSecret(FILES.keys, keysSecret),
      ...secretFiles.map(({ file, secret }) => fromSecret(file, secret))
    ]
  }
}

/** Renders the container `gateway`. */
export function renderGatewayContainer(props: GatewayContainerProps): k8s.Container {
  const get = (path: string) => ({ httpGet: { path, port: k8s.IntOrString.fromString('http') } })
  return {
    name: 'gateway',
    image: props.image,
    imagePullPolicy: 'IfNotPresent',
    env: [{ name: ENV.config, value: FILES.config }],
    ports: [{ name: 'http', containerPort: PORTS.gateway }],
    startupProbe: { ...get(PATHS.health), periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 60 },
    readinessProbe: { ...get(PATHS.ready), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
    // A restart cuts every stream: half a minute of silence comes first.
    livenessProbe: { ...get(PATHS.health), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    resources: resourcesOf(props.cpu ?? 1, mebibytesOf(props.memoryMiB ?? 1024)),
    securityContext: restrictContainer({ readOnlyRoot: true }),
    volumeMounts: [{ name: FILES_VOLUME, mountPath: FILES_DIRECTORY, readOnly: true }]
  }
}
