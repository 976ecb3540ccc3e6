// Finds what scaling and watching ask of a region that the rest of it does not give: an API, an address, enough time.
import { firstEngineMs, MAX_QUEUE_MS } from '../lib/scale-from-zero.ts'
import { type Fields, listOf } from './conflicts.ts'
import { modelShape } from './model.ts'
import { pickValid } from './parts.ts'
import { placementSchema } from './placement.ts'
import { regionSchema } from './region.ts'

type Region = ReturnType<typeof pickValid<typeof regionSchema.shape>>
type Placement = ReturnType<typeof pickValid<typeof placementSchema.shape>>

/** Reads a stack that may be wrong elsewhere, so one run shows every problem; a field that is wrong is left to its schema. */
export function findScalingConflicts(stack: unknown): string[] {
  const models = listOf(stack, 'models').map((model) => pickValid(modelShape, model))
  const loadSeconds = new Map(models.map((model) => [model.name, model.loadSeconds]))
  return listOf(stack, 'regions').flatMap((written, index) => {
    const path = `regions[${index}]`
    const region = pickValid(regionSchema, written)
    return [
      ...findMonitoringProblems(written.monitoring, region, `${path}.monitoring`),
      ...findGatewayProblems(written.gateway, `${path}.gateway`),
      ...findAddressProblems(written, region, `${path}.monitoring.prometheusUrl`),
      ...listOf(written, 'placements').flatMap((placement, at) =>
        findPlacementProblems(placement, region, loadSeconds, path, `${path}.placements[${at}]`)
      )
    ]
  })
}

const has = (region: Region, api: 'keda' | 'prometheus-operator') =>
  region.cluster === undefined || region.cluster.apis.includes(api)
const isWritten = (value: unknown, field: string) =>
  typeof value === 'object' && value !== null && (value as Fields)[field] !== undefined

function findMonitoringProblems(written: unknown, region: Region, path: string): string[] {
  if (has(region, 'prometheus-operator') || typeof written !== 'object' || written === null) return []
  const fields = Object.keys(written).filter((field) => field !== 'prometheusUrl')
  return fields.map(
    (field) =>
      `${path}.${field}: monitors, rules and dashboards need the Prometheus operator; add prometheus-operator to cluster.apis, or leave it out`
  )
}

const TWO_OWNERS =
  'the autoscaler owns the number; write autoscaling.minReplicas, or leave autoscaling out: in an environment, autoscaling: null'

function findGatewayProblems(written: unknown, path: string): string[] {
  return isWritten(written, 'autoscaling') && isWritten(written, 'replicas') ? [`${path}.replicas: ${TWO_OWNERS}`] : []
}

function findAddressProblems(written: Fields, region: Region, path: string): string[] {
  const scaled = [written.gateway, ...listOf(written, 'placements')].some((one) => isWritten(one, 'autoscaling'))
  const { cluster } = region
  if (!scaled || cluster === undefined || !has(region, 'keda') || isWritten(written.monitoring, 'prometheusUrl'))
    return []
  return [
    `${path}: is missing; KEDA asks Prometheus: give its address, as http://prometheus-operated.monitoring.svc:9090`
  ]
}

function findPlacementProblems(
  written: Fields,
  region: Region,
  loadSeconds: ReadonlyMap<string | undefined, number | undefined>,
  regionPath: string,
  path: string
): string[] {
  if (!isWritten(written, 'autoscaling')) return []
  const placement = pickValid(placementSchema, written)
  const problems = isWritten(written, 'replicas') ? [`${path}.replicas: ${TWO_OWNERS}`] : []
  if (!has(region, 'keda')) {
    problems.push(`${path}.autoscaling: engines are scaled by KEDA; add keda to cluster.apis, or write replicas`)
  }
  const load = loadSeconds.get(placement.model)
  if (load === undefined || placement.autoscaling?.minReplicas !== 0) return problems
  return [...problems, ...findWaitProblems(placement, region, load, regionPath, path)]
}

/** Scaled to zero, the first request waits for the model: nobody on its way may give it up sooner. */
function findWaitProblems(
  { model, queueMs, autoscaling }: Placement,
  { budget }: Region,
  loadSeconds: number,
  regionPath: string,
  path: string
): string[] {
  const neededMs = firstEngineMs(loadSeconds, autoscaling?.pollSeconds ?? 0)
  const waitMs = queueMs ?? neededMs
  if (waitMs < loadSeconds * 1000) {
    return [
      `${path}.queueMs: ${waitMs} is less than the ${loadSeconds} s that ${model} may load for, so the first request would be refused before there is an engine; use ${neededMs}, or leave it out`
    ]
  }
  if (waitMs > MAX_QUEUE_MS) {
    return [
      `${path}.autoscaling.minReplicas: 0 lets a request wait ${waitMs} ms for ${model} to load, and the queue holds it ${MAX_QUEUE_MS} ms at most; use 1, or load faster from a cache and lower loadSeconds`
    ]
  }
  const streamMs = budget && waitMs + budget.firstTokenMs
  if (budget === undefined || streamMs === undefined || budget.streamMs >= streamMs) return []
  return [
    `${regionPath}.budget.streamMs: ${budget.streamMs} ends a request that waits ${waitMs} ms for the first engine of ${model}; use at least ${streamMs}, and set drainMs (${budget.drainMs}) if a drain must not take as long`
  ]
}
