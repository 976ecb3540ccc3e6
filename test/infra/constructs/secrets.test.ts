// Where Secrets come from: objects of External Secrets and Sealed Secrets, and never a value.
import { describe, expect, it } from 'vitest'
import { findSchemaProblems } from '../kubernetes-schema.ts'
import { find, type Manifest, manifestsOf, model, podOf, problemsOf, region, stackOf, stackWith } from '../stacks.ts'

type Source = NonNullable<ReturnType<typeof region>['secrets']>[number]
const SEALED = 'Ag'.padEnd(400, 'x')
const engineKeySecret = { name: 'engine-key', key: 'token' }
const synth = (...secrets: Source[]) =>
  manifestsOf(
    stackOf({
      models: [model({ engineKeySecret })],
      regions: [region({ cluster: { apis: ['external-secrets', 'sealed-secrets'] }, secrets })]
    })
  )
const external: Source = {
  source: 'external-secrets',
  name: 'api-keys',
  store: { name: 'vault' },
  data: { 'keys.json': { key: 'sluice/eu-west', property: 'keys', version: '7' } }
}
const sealed: Source = { source: 'sealed-secrets', name: 'engine-key', encryptedData: { token: SEALED } }

/** The Secret's name and keys that an object makes. */
const madeBy = ({ kind, spec }: Manifest) =>
  kind === 'ExternalSecret'
    ? [spec.target.name, spec.data.map(({ secretKey }: Manifest) => secretKey)]
    : [spec.template.metadata.name, Object.keys(spec.encryptedData)]

describe('Secrets', () => {
  it('makes the Secrets that the pods name, with the keys that they read', () => {
    const manifests = synth(external, sealed)
    const { projected } = podOf(manifests, 'gateway').volumes[0]
    const mounted = projected.sources
      .filter(({ secret }: Manifest) => secret)
      .map(({ secret }: Manifest) => [secret.name, [secret.items[0].key]])
    expect([
      madeBy(find(manifests, 'ExternalSecret', 'api-keys')),
      madeBy(find(manifests, 'SealedSecret', 'engine-key'))
    ]).toEqual(mounted)
  })

  it('refers to the store, and keeps what was copied when the store loses it', () => {
    const { spec } = find(synth(external), 'ExternalSecret', 'api-keys')
    // those of the CRD: in a list, what the API server adds would look like a change at every apply
    const defaults = { conversionStrategy: 'Default', decodingStrategy: 'None', metadataPolicy: 'None' }
    expect(spec).toEqual({
      refreshInterval: '60m',
      secretStoreRef: { kind: 'ClusterSecretStore', name: 'vault' },
      target: { name: 'api-keys', creationPolicy: 'Owner', deletionPolicy: 'Retain' },
      data: [
        { secretKey: 'keys.json', remoteRef: { ...defaults, key: 'sluice/eu-west', property: 'keys', version: '7' } }
      ]
    })
  })

  it('makes a certificate as the type that an ingress controller looks for', () => {
    const data = { 'tls.crt': { key: 'crt' }, 'tls.key': { key: 'key' } }
    const store = { kind: 'SecretStore', name: 'local' } as const
    const manifests = synth({ ...external, name: 'llm-tls', type: 'kubernetes.io/tls', store, data })
    const { spec } = find(manifests, 'ExternalSecret', 'llm-tls')
    expect(spec.target.template).toEqual({ type: 'kubernetes.io/tls' })
    expect(spec.secretStoreRef).toEqual(store)
  })

  it('makes the Secret of a private registry as the kubelet reads it', () => {
    const data = { '.dockerconfigjson': { key: 'registry' } }
    const type = 'kubernetes.io/dockerconfigjson' as const
    const registry = { ...external, name: 'registry', type, data }
    const stack = (secret: Source) =>
      stackWith({
        region: { cluster: { apis: ['external-secrets'] }, imagePullSecrets: ['registry'], secrets: [secret] }
      })
    expect(find(manifestsOf(stack(registry)), 'ExternalSecret', 'registry').spec.target.template).toEqual({ type })
    expect(problemsOf(stack({ ...registry, data: { config: { key: 'registry' } } }))).toEqual([
      'regions[0].secrets[0].data: registry gets no .dockerconfigjson, which imagePullSecrets[0] names'
    ])
  })

  it('passes sealed values on as they were pasted', () => {
    const { spec } = find(synth(sealed), 'SealedSecret', 'engine-key')
    expect(spec.encryptedData).toEqual({ token: SEALED })
    expect(spec.template.type).toBe('Opaque')
  })

  it('passes strict schema validation, and makes nothing when nothing is asked for', async () => {
    const made = (manifests: Manifest[]) => manifests.filter(({ kind }) => /^(External|Sealed)Secret$/.test(kind))
    const objects = made(synth(external, sealed))
    expect(objects).toHaveLength(2)
    for (const object of objects) expect(await findSchemaProblems(object), object.kind).toEqual([])
    expect(made(synth())).toEqual([])
  })
})
