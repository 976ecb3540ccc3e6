// A real API server takes every object of every region, warns of nothing, and has nothing to do when they are applied again.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CONTROLLER_TRAITS, type IngressController } from '../../../infra/lib/ingress-controllers.ts'
import { isAtLeast, KUBERNETES_MINORS } from '../../../infra/schema/cluster.ts'
import type { StackInput } from '../../../infra/schema.ts'
import { stack } from '../../../infra/stack.ts'
import { EVERYTHING } from '../../infra/everything-on.ts'
import { RELEASED_STACK } from '../../infra/released-stack.ts'
import { type Manifest, manifestsOf, onKubernetes } from '../../infra/stacks.ts'
import { APIS as APIS_OF_WAYS_IN, everythingFor, ingressFor, stackThrough } from '../../infra/ways-in.ts'
import { UNAVAILABLE_GROUPS } from '../harness/crds.ts'
import { isSkipped } from '../tiers.ts'
import { APIS, type Api } from './apis.ts'
import { podsOf } from './pods.ts'
import { applyRegion, type Charts, listOf, readRegion, runStrictly, writeCharts } from './region-folder.ts'

/** In namespaces of their own, or one stack's would be applied over the other's. */
const within = (prefix: string, input: StackInput): StackInput => ({
  ...input,
  regions: input.regions.map((region) => ({ ...region, namespace: `${prefix}-${region.name}` }))
})

/** The most that the API has: images as volumes came late, and an old one does not take the CRDs of today's Envoy Gateway. */
function adapt(api: Api, input: StackInput): StackInput {
  const hasImages = isAtLeast({ kubernetes: api.minor }, '1.35')
  const hasEnvoy = api.knows({ apiVersion: 'gateway.envoyproxy.io/v1alpha1', kind: 'SecurityPolicy' })
  const regions = input.regions.map((region) => ({
    ...region,
    placements: region.placements.filter(({ cache }) => hasImages || cache.kind !== 'oci-image'),
    ingress:
      hasEnvoy || region.ingress.controller !== 'envoy-gateway'
        ? region.ingress
        : ingressFor('gateway-api', everythingFor('gateway-api'))
  }))
  return onKubernetes(api.minor, { ...input, regions })
}

/** What the engines of the one model that is excepted are warned of. */
const EXCEPTED =
  /^Warning: would violate PodSecurity "restricted:latest": unrestricted capabilities \(container "vllm" must not include "IPC_LOCK"/

const STACKS: readonly [string, StackInput, readonly RegExp[]][] = [
  ['the stack', within('sluice-own', stack), []],
  ['a stack of every kind of object', within('sluice-released', RELEASED_STACK), []],
  ['a stack with everything on', within('sluice-everything', EVERYTHING), [EXCEPTED]]
]

/** A region with everything that the controller can do, in a namespace of its own. */
const wayInThrough = (controller: IngressController, { minor }: Api): Manifest[] =>
  manifestsOf(
    stackThrough(ingressFor(controller, everythingFor(controller)), {
      namespace: `sluice-through-${controller}`,
      cluster: { kubernetes: minor, apis: [...APIS_OF_WAYS_IN] }
    })
  )

describe.skipIf(isSkipped('api')).each(APIS)('$title', ({ open }) => {
  let api: Api
  beforeAll(async () => {
    api = await open()
  })
  afterAll(() => api?.[Symbol.asyncDispose]())

  it('takes the objects of every way in, but for the kinds whose definitions are not to be had', async () => {
    const objects = Object.keys(CONTROLLER_TRAITS).flatMap((name) => wayInThrough(name as IngressController, api))
    const unknown = objects.filter((object) => !api.knows(object))
    if (api.minor === KUBERNETES_MINORS.at(-1) && !api.isBorrowed) {
      expect(new Set(unknown.map(({ apiVersion }) => apiVersion.split('/')[0]))).toEqual(new Set(UNAVAILABLE_GROUPS))
    }
    await api.claim(objects)
    const known = listOf(objects.filter((object) => api.knows(object)))
    expect(await runStrictly(api, ['apply', '--server-side', '--validate=strict', '--filename=-'], known)).toEqual([])
  })

  describe.each(STACKS)('given %s', (_title, input, expected) => {
    let charts: Charts
    beforeAll(async () => {
      charts = writeCharts(adapt(api, input))
      await api.claim(charts.regions.flatMap((region) => charts.objects(region)))
    })
    afterAll(() => charts?.[Symbol.dispose]())

    it('takes all of it in the order that operators apply it, and warns of nothing that is not expected', async () => {
      const warnings: string[] = []
      for (const region of charts.regions) warnings.push(...(await applyRegion(api, charts, region)))
      expect(warnings.filter((warning) => !expected.some((one) => one.test(warning)))).toEqual([])
      expect(expected.filter((one) => !warnings.some((warning) => one.test(warning)))).toEqual([])
    })

    it('lets in a pod of each of its workloads', async () => {
      const pods = podsOf(charts.objects())
      expect(pods.length).toBeGreaterThan(3)
      await runStrictly(api, ['create', '--dry-run=server', '--validate=strict', '--filename=-'], listOf(pods))
    })

    it('changes nothing when it is applied again', async () => {
      for (const region of charts.regions) {
        const before = await readRegion(api, charts, region)
        expect(before).toHaveLength(charts.objects(region).length)
        await applyRegion(api, charts, region)
        expect(await readRegion(api, charts, region)).toEqual(before)
      }
    })

    it('differs in nothing from what is in the cluster', async () => {
      for (const region of charts.regions) {
        const diff = ['diff', '--server-side', `--kustomize=${charts.folder}/${region}`]
        expect(await api.kubectl.try(diff)).toMatchObject({ code: 0, stdout: '' })
      }
    })
  })
})
