// The four kinds of model cache, as claims and volumes.
import { describe, expect, it } from 'vitest'
import { findViolations } from '../pod-security.ts'
import { find, type Manifest, manifestsOf, placement, podOf, region, stackOf } from '../stacks.ts'

type Cache = ReturnType<typeof placement>['cache']
const withCache = (cache: Cache) => manifestsOf(stackOf({ regions: [region({ placements: [placement({ cache })] })] }))
const volumeOf = (manifests: Manifest[]) =>
  podOf(manifests, 'engine-llama').volumes.find((volume: Manifest) => volume.name === 'model-cache')

describe('ModelCache', () => {
  it('claims a volume that pods on several nodes share', () => {
    const manifests = withCache({ kind: 'new-claim', sizeGiB: 100, storageClassName: 'files' })
    const claim = find(manifests, 'PersistentVolumeClaim', 'engine-llama-cache')
    expect(claim.spec).toEqual({
      accessModes: ['ReadWriteMany'],
      storageClassName: 'files',
      resources: { requests: { storage: '100Gi' } }
    })
    expect(volumeOf(manifests).persistentVolumeClaim.claimName).toBe('engine-llama-cache')
  })

  it('leaves the storage class to the cluster when none is named', () => {
    const claim = find(withCache({ kind: 'new-claim', sizeGiB: 1 }), 'PersistentVolumeClaim', 'engine-llama-cache')
    expect(claim.spec).not.toHaveProperty('storageClassName')
  })

  it('uses a claim that exists and makes none', () => {
    const manifests = withCache({ kind: 'claim', claimName: 'weights' })
    expect(volumeOf(manifests).persistentVolumeClaim.claimName).toBe('weights')
    expect(manifests.filter((one) => one.kind === 'PersistentVolumeClaim')).toEqual([])
  })

  it('reaches a host path through a volume of the cluster, so the pod stays restricted', () => {
    const manifests = withCache({ kind: 'host-path', path: '/srv/models' })
    const volume = find(manifests, 'PersistentVolume', 'sluice-engine-llama-cache')
    const claim = find(manifests, 'PersistentVolumeClaim', 'engine-llama-cache')
    expect(volume.metadata).not.toHaveProperty('namespace')
    expect(volume.spec.hostPath.path).toBe('/srv/models')
    expect(volume.spec.claimRef).toEqual({ namespace: 'sluice', name: claim.metadata.name })
    expect(claim.spec).toMatchObject({ volumeName: volume.metadata.name, storageClassName: '' })
    expect(findViolations(podOf(manifests, 'engine-llama'))).toEqual([])
  })

  it('bounds a cache that ends with its pod', () => {
    expect(volumeOf(withCache({ kind: 'empty-dir', sizeGiB: 7 })).emptyDir).toEqual({ sizeLimit: '7Gi' })
  })
})
