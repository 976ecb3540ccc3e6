// Scaled gateways as they stand in the written YAML, with KEDA and without it.
import { describe, expect, it } from 'vitest'
import { deriveTimeBudget, timeBudgetSchema } from '../../../gateway/contract.ts'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { find, manifestsOf, region, stackOf, watched } from '../stacks.ts'

const gateway = { ...region().gateway, autoscaling: { maxReplicas: 9, cpuPercent: 60, requestsPerGateway: 200 } }
const withKeda = (budget = {}) => manifestsOf(stackOf({ regions: [watched({ gateway, budget })] }))
const withoutKeda = (budget = {}) => manifestsOf(stackOf({ regions: [region({ gateway, budget })] }))

describe('GatewayAutoscaler', () => {
  it('owns the number of replicas alone, with KEDA and without it', () => {
    for (const manifests of [withKeda(), withoutKeda()]) {
      expect(find(manifests, 'Deployment', 'gateway').spec).not.toHaveProperty('replicas')
    }
  })

  it('with KEDA counts every open request, and CPU beside them', async () => {
    const object = find(withKeda(), 'ScaledObject', 'gateway')
    expect(await findSchemaProblems(object)).toEqual([])
    expect(object.spec).toMatchObject({ minReplicaCount: 2, maxReplicaCount: 9, scaleTargetRef: { name: 'gateway' } })
    const [requests, cpu] = object.spec.triggers
    expect(requests.metadata).toMatchObject({
      serverAddress: 'http://prometheus.monitoring.svc:9090',
      query: 'sum(sluice_active_requests{namespace="sluice"}) + sum(sluice_queued_requests{namespace="sluice"})',
      threshold: '200',
      ignoreNullValues: 'false'
    })
    expect(cpu).toMatchObject({ type: 'cpu', metricType: 'Utilization', metadata: { value: '60' } })
    expect(object.spec.fallback).toBeUndefined()
  })

  it('without KEDA goes by CPU alone', async () => {
    const object = find(withoutKeda(), 'HorizontalPodAutoscaler', 'gateway')
    expect(await findSchemaProblems(object)).toEqual([])
    expect(object.apiVersion).toBe('autoscaling/v2')
    expect(object.spec).toMatchObject({
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'gateway' },
      minReplicas: 2,
      maxReplicas: 9,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } }
      ]
    })
  })

  it('waits longer than a gateway drains before the next one goes, as far as Kubernetes can wait', () => {
    for (const [budget, expected] of [
      [{}, undefined],
      [{ streamMs: 7_200_000 }, 3600]
    ] as const) {
      const { propagationMs, drainMs } = deriveTimeBudget(timeBudgetSchema.parse(budget)).gateway
      const { spec } = find(withKeda(budget), 'ScaledObject', 'gateway')
      const hpa = find(withoutKeda(budget), 'HorizontalPodAutoscaler', 'gateway').spec
      for (const { scaleDown } of [spec.advanced.horizontalPodAutoscalerConfig.behavior, hpa.behavior]) {
        const seconds = scaleDown.stabilizationWindowSeconds
        if (expected === undefined) expect(seconds).toBeGreaterThan((propagationMs + drainMs) / 1000)
        else expect(seconds).toBe(expected)
        expect(scaleDown.policies).toEqual([{ type: 'Pods', value: 1, periodSeconds: 60 }])
      }
    }
  })
})
