// Secrets that something in the cluster makes: a reference to an external store, or a value that only the cluster can read.
import { ApiObject } from 'cdk8s'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'
import type { SecretSource } from '../schema/secrets.ts'

/** Properties of `Secrets`. */
export interface SecretsProps {
  /** What is made from what. */
  readonly sources: readonly SecretSource[]
}

type Source<K extends SecretSource['source']> = Extract<SecretSource, { readonly source: K }>

/** An object for each source, named as the Secret that it makes in its namespace. */
export class Secrets extends Construct {
  constructor(scope: Construct, id: string, { sources }: SecretsProps) {
    super(scope, id)
    for (const source of sources) {
      const labels = labelsOf({ name: 'sluice-secret', instance: 'secrets', component: 'secret' })
      const metadata = { name: source.name, labels }
      new ApiObject(this, source.name, {
        metadata,
        ...(source.source === 'external-secrets' ? renderExternal(source) : renderSealed(source, labels))
      })
    }
  }
}

/** Written out: what the API server adds to an entry of a list looks like a change at every apply. */
const REMOTE_DEFAULTS = { conversionStrategy: 'Default', decodingStrategy: 'None', metadataPolicy: 'None' }

/** https://external-secrets.io/latest/api/externalsecret/ */
function renderExternal({ name, type, store, refreshMinutes, data }: Source<'external-secrets'>) {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    spec: {
      refreshInterval: `${refreshMinutes}m`,
      secretStoreRef: { kind: store.kind, name: store.name },
      // Retain: a value that is gone from the store does not take a region along that serves.
      target: {
        name,
        creationPolicy: 'Owner',
        deletionPolicy: 'Retain',
        ...(type === 'Opaque' ? {} : { template: { type } })
      },
      data: Object.entries(data).map(([secretKey, remoteRef]) => ({
        secretKey,
        remoteRef: { ...REMOTE_DEFAULTS, ...remoteRef }
      }))
    }
  }
}

/** https://github.com/bitnami-labs/sealed-secrets; sealed for this name and namespace, kubeseal's scope `strict`. */
function renderSealed({ name, type, encryptedData }: Source<'sealed-secrets'>, labels: Record<string, string>) {
  return {
    apiVersion: 'bitnami.com/v1alpha1',
    kind: 'SealedSecret',
    spec: { encryptedData, template: { metadata: { name, labels }, type } }
  }
}
