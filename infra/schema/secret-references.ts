// Holds the Secrets that a region makes against the places that name one: every key there, and no Secret for nobody.
import { type Fields, isFields, listOf } from './conflicts.ts'

/** A place of the stack that names a Secret, and the keys that it reads. */
interface Reference {
  readonly path: string
  readonly name: string
  readonly keys: readonly string[]
}

/** Compares over a stack that may be wrong elsewhere, so one run shows every problem. */
export function findSecretConflicts(stack: unknown): string[] {
  const models = listOf(stack, 'models')
  return listOf(stack, 'regions').flatMap((region, index) => {
    const placed = new Set(listOf(region, 'placements').map(({ model }) => model))
    const { secrets: _made, ...rest } = region
    const references = [
      ...findReferences(rest, ''),
      ...models.flatMap((model, at) => (placed.has(model.name) ? findReferences(model, `models[${at}].`) : []))
    ]
    return listOf(region, 'secrets').flatMap((secret, at) =>
      compare(secret, references, issuedIn(region)).map((problem) => `regions[${index}].secrets[${at}]${problem}`)
    )
  })
}

function compare(secret: Fields, references: readonly Reference[], issued: readonly unknown[]): string[] {
  const { name } = secret
  const data = secret.source === 'sealed-secrets' ? 'encryptedData' : 'data'
  const values = secret[data]
  if (typeof name !== 'string' || !isFields(values)) return []
  if (issued.includes(name)) return [`.name: cert-manager fills ${name}; leave out this Secret, or tls.clusterIssuer`]
  const using = references.filter((reference) => reference.name === name)
  if (using.length === 0) return [`.name: nothing in this region names ${name}; is it misspelt?`]
  return using.flatMap(({ path, keys }) =>
    keys.filter((key) => !(key in values)).map((key) => `.${data}: ${name} gets no ${key}, which ${path} names`)
  )
}

/** The Secrets that cert-manager fills. */
function issuedIn({ ingress }: Fields): unknown[] {
  if (!isFields(ingress)) return []
  const { tls, sharedHost } = ingress
  return [tls, isFields(sharedHost) ? sharedHost.tls : undefined].flatMap((one) =>
    isFields(one) && one.clusterIssuer !== undefined ? [one.secretName] : []
  )
}

/** A reference is `{ name, key }` wherever it stands, a `secretName` of a certificate, or a name of `imagePullSecrets`. */
function findReferences(value: unknown, path: string): Reference[] {
  if (Array.isArray(value))
    return value.flatMap((item, index) => findReferences(item, `${path.slice(0, -1)}[${index}].`))
  if (!isFields(value)) return []
  const { name, key, secretName, imagePullSecrets } = value
  if (typeof name === 'string' && typeof key === 'string' && Object.keys(value).length === 2) {
    return [{ path: path.slice(0, -1), name, keys: [key] }]
  }
  return [
    ...(typeof secretName === 'string'
      ? [{ path: `${path}secretName`, name: secretName, keys: ['tls.crt', 'tls.key'] }]
      : []),
    ...(Array.isArray(imagePullSecrets) ? imagePullSecrets : []).flatMap((one, index) =>
      typeof one === 'string'
        ? [{ path: `${path}imagePullSecrets[${index}]`, name: one, keys: ['.dockerconfigjson'] }]
        : []
    ),
    ...Object.entries(value).flatMap(([field, inner]) => findReferences(inner, `${path}${field}.`))
  ]
}
