// What kwok's kubelets do with nodes and pods, and how long it takes them: kwok's own stages with the times of a test.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { sourcesOf } from './programs.ts'

/** How long each step in a pod's life takes, in ms. */
export interface PodTimes {
  /** From its binding to a node until its containers are made. @default 100 */
  readonly createMs?: number
  /** All init containers: this long until they run, and this long until they are done. @default 100 */
  readonly initMs?: number
  /** From then on until it is ready. @default 300 */
  readonly readyMs?: number
  /** From the end's beginning until it is gone, whatever its grace period. @default 300 */
  readonly deleteMs?: number
  /** What a Job's pod runs. @default 500 */
  readonly completeMs?: number
}

// biome-ignore lint/suspicious/noExplicitAny: kwok has no types for JavaScript, and refuses what it does not know
type Stage = any

const NODE_STAGES = ['node/fast/node-initialize', 'node/heartbeat-with-lease/node-heartbeat-with-lease']

/** kwok's steps of a pod; each with the time that it takes. */
const podStages = (times: PodTimes): Readonly<Record<string, number>> => ({
  'pod-create': times.createMs ?? 100,
  'pod-init-container-running': times.initMs ?? 100,
  'pod-init-container-completed': times.initMs ?? 100,
  'pod-ready': times.readyMs ?? 300,
  'pod-complete': times.completeMs ?? 500,
  'pod-delete': times.deleteMs ?? 300
})

/** A pod of such an image gets to the state of one that answers no probe: it runs, and is not ready. */
function breakImages(ready: Stage, images: readonly string[]): Stage[] {
  const [good, broken] = [structuredClone(ready), structuredClone(ready)]
  const image = (operator: string) => ({ key: '.spec.containers.[].image', operator, values: images })
  good.spec.selector.matchExpressions.push(image('NotIn'))
  broken.spec.selector.matchExpressions.push(image('In'))
  broken.metadata.name = 'pod-broken'
  broken.spec.next.statusTemplate = broken.spec.next.statusTemplate
    .replaceAll('status: "True"', 'status: "False"')
    .replaceAll('ready: true', 'ready: false')
  return [good, broken]
}

const hasCondition = (type: string, status: string) => ({
  key: `.status.conditions.[] | select( .type == "${type}" ) | .status`,
  operator: 'In',
  values: [status]
})

/**
 * A running pod is ready again if its containers are, which is what a kubelet says at its next look, and none of kwok's own
 * stages: the node lifecycle controller marks each pod of a node as unready that it has not heard of, and never takes it back.
 */
const READY_AGAIN: Stage = {
  apiVersion: 'kwok.x-k8s.io/v1alpha1',
  kind: 'Stage',
  metadata: { name: 'pod-ready-again' },
  spec: {
    resourceRef: { apiGroup: 'v1', kind: 'Pod' },
    selector: {
      matchExpressions: [
        { key: '.metadata.deletionTimestamp', operator: 'DoesNotExist' },
        { key: '.status.phase', operator: 'In', values: ['Running'] },
        hasCondition('ContainersReady', 'True'),
        hasCondition('Ready', 'False')
      ]
    },
    delay: { durationMilliseconds: 1000 },
    next: {
      statusTemplate: 'conditions:\n- { type: Ready, status: "True", lastTransitionTime: {{ Now | Quote }} }\n'
    }
  }
}

/** A pod's whole life in two writes: ready when it is placed, gone when it is deleted. */
const AT_ONCE = ['pod/fast/pod-ready', 'pod/fast/pod-delete']

/** The stages as a configuration file of kwok; with `at once` a pod is ready by one write, for clusters of thousands. */
export async function stagesOf(
  times: PodTimes | 'at once' = {},
  brokenImages: readonly string[] = []
): Promise<string> {
  const folder = join(await sourcesOf('kwok', 'sigs.k8s.io/kwok'), 'kustomize', 'stage')
  const read = (name: string): Stage => parse(readFileSync(join(folder, `${name}.yaml`), 'utf8'))
  const render = (stages: readonly Stage[]) => stages.map((stage) => stringify(stage)).join('---\n')
  if (times === 'at once') return render([...[...NODE_STAGES, ...AT_ONCE].map(read), READY_AGAIN])
  const pods = Object.entries(podStages(times)).flatMap(([name, durationMilliseconds]) => {
    const stage = read(`pod/general/${name}`)
    stage.spec.delay = { durationMilliseconds }
    return name === 'pod-ready' && brokenImages.length > 0 ? breakImages(stage, brokenImages) : [stage]
  })
  return render([...NODE_STAGES.map(read), ...pods, READY_AGAIN])
}
