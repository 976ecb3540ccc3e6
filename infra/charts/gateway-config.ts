// The gateway's configuration of a region: a pool for each engine deployment, found by its Service's name.
import { type ConfigInput, PORTS } from '../../gateway/contract.ts'
import { engineKeyFile, type SecretFile, STREAM_FILES } from '../constructs/gateway-container.ts'
import { firstEngineMs } from '../lib/scale-from-zero.ts'
import type { Streams } from '../schema/streams.ts'
import type { Model, Placement, Region } from '../schema.ts'

/** A model and where it is placed. */
export interface PlacedModel {
  /** What is served. */
  readonly model: Model
  /** On which nodes, and how many times. */
  readonly placement: Placement
}

/** The models that a region places, in the stack's order of placements. */
export function placeModels(region: Region, models: readonly Model[]): PlacedModel[] {
  return region.placements.flatMap((placement) => {
    const model = models.find(({ name }) => name === placement.model)
    return model === undefined ? [] : [{ model, placement }]
  })
}

/** What Deployment, Service and ServiceAccount of a model's engines are called. */
export function engineNameOf(model: Pick<Model, 'name'>): string {
  return `engine-${model.name}`
}

const MEBIBYTE = 1024 * 1024
/** Bodies that wait may fill so much of a pod's memory; of the memory that it has by default that is the gateway's own bound. */
const BODIES_SHARE = 0.25

/** The file that the gateway's pods read. The whole budget stands in it: grace periods are derived from it. */
export function gatewayConfigOf(region: Region, placed: readonly PlacedModel[]): ConfigInput {
  const { maxBodyBytes, maxUploadBytes, memoryMiB, corsOrigins, console, streams, websocket } = region.gateway
  return {
    region: region.name,
    maxBodyBytes,
    ...(memoryMiB === undefined ? {} : { maxHeldBytes: memoryMiB * MEBIBYTE * BODIES_SHARE }),
    ...(maxUploadBytes === undefined ? {} : { maxUploadBytes }),
    ...(corsOrigins === undefined ? {} : { corsOrigins }),
    ...(websocket === undefined ? {} : { websocket }),
    ...(console ? { console } : {}),
    budget: region.budget,
    ...(streams === undefined ? {} : { streams: streamsConfigOf(streams) }),
    // A gateway that is unready serves nothing, so one model without an engine must not take the others along.
    pools: placed.map((one) => ({
      ...poolOf(region, one),
      ...(placed.length > 1 || isScaledToZero(one.placement) ? { waitForEngine: true } : {})
    }))
  }
}

/** The engine keys that the gateway's pod mounts, each at the file that its pool names. */
export function engineKeysOf(placed: readonly PlacedModel[]): SecretFile[] {
  return placed.flatMap(({ model }) =>
    model.engineKeySecret === undefined ? [] : [{ file: engineKeyFile(model.name), secret: model.engineKeySecret }]
  )
}

/** What the gateway is told of resumable streams: of the secrets the files, never what is in them. */
function streamsConfigOf({ signingKeySecret, redis, ...limits }: Streams): NonNullable<ConfigInput['streams']> {
  const { urlSecret: _url, at: _at, port: _port, ...shared } = redis ?? {}
  return {
    ...limits,
    ...(signingKeySecret === undefined ? {} : { signingKeyFile: STREAM_FILES.signingKey }),
    ...(redis === undefined ? {} : { redis: { urlFile: STREAM_FILES.redisUrl, ...shared } })
  }
}

/** The secrets of resumable streams that the gateway's pod mounts. */
export function streamSecretsOf(streams: Streams | undefined): SecretFile[] {
  const { signingKeySecret, redis } = streams ?? {}
  return [
    ...(signingKeySecret === undefined ? [] : [{ file: STREAM_FILES.signingKey, secret: signingKeySecret }]),
    ...(redis === undefined ? [] : [{ file: STREAM_FILES.redisUrl, secret: redis.urlSecret }])
  ]
}

/** Whether a placed model may have no engine while nobody asks for it. */
export function isScaledToZero({ autoscaling }: Placement): boolean {
  return autoscaling?.minReplicas === 0
}

/** How long a request may wait, where the stack or the model's load decides it. */
function queueMsOf({ model, placement }: PlacedModel): number | undefined {
  if (placement.queueMs !== undefined || !isScaledToZero(placement)) return placement.queueMs
  return firstEngineMs(model.loadSeconds, placement.autoscaling?.pollSeconds ?? 0)
}

function poolOf(region: Region, one: PlacedModel): ConfigInput['pools'][number] {
  const { model, placement } = one
  const queueMs = queueMsOf(one)
  const tasks = model.tasks === undefined ? {} : { tasks: [...model.tasks] }
  const limitTo = (maxOutputTokens = model.maxOutputTokens) =>
    maxOutputTokens === undefined ? {} : { maxOutputTokens }
  return {
    name: model.name,
    models: [
      { name: model.servedName, ...limitTo(), restricted: model.restricted, ...tasks },
      // An adapter is a model to clients, and has the model's limits where it has none of its own.
      ...(model.adapters ?? []).map(({ name, maxOutputTokens, restricted }) => ({
        name,
        ...limitTo(maxOutputTokens),
        restricted: restricted ?? model.restricted,
        ...tasks
      }))
    ],
    // The complete name: with a short one every look-up would try the cluster's search domains.
    engines: {
      dns: { host: `${engineNameOf(model)}.${region.namespace}.svc.${region.clusterDomain}`, port: PORTS.engine }
    },
    ...(model.engineKeySecret === undefined ? {} : { engineKeyFile: engineKeyFile(model.name) }),
    maxActivePerEngine: model.settings.maxNumSeqs,
    ...(placement.maxQueued === undefined ? {} : { maxQueued: placement.maxQueued }),
    ...(queueMs === undefined ? {} : { queueMs })
  }
}
