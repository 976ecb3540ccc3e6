// Validates objects with the compiled schemas of kubernetes-models, and refuses fields that those have never looked at.
import { findLeaderWorkerSetProblems, podTemplatesOf } from './leader-worker-set-schema.ts'
import type { Manifest } from './stacks.ts'
import { VERIFIED_KINDS } from './verified-kinds.ts'

/** Where the library keeps the kinds of a group that is not Kubernetes' own. */
const CUSTOM_GROUPS: Readonly<Record<string, string>> = {
  'argoproj.io': '@kubernetes-models/argo-cd',
  'bitnami.com': '@kubernetes-models/sealed-secrets',
  'cert-manager.io': '@kubernetes-models/cert-manager',
  'external-secrets.io': '@kubernetes-models/external-secrets',
  'gateway.envoyproxy.io': '@kubernetes-models/envoy-gateway',
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'keda.sh': '@kubernetes-models/keda',
  'kustomize.toolkit.fluxcd.io': '@kubernetes-models/flux-cd',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'networking.istio.io': '@kubernetes-models/istio',
  'projectcontour.io': '@kubernetes-models/contour',
  'security.istio.io': '@kubernetes-models/istio',
  'source.toolkit.fluxcd.io': '@kubernetes-models/flux-cd',
  'traefik.io': '@kubernetes-models/traefik'
}

/** Where a kind takes any field: what Argo CD fills its template in with. */
const OPEN_FIELDS: Readonly<Record<string, RegExp>> = {
  ApplicationSet: /^\/spec\/generators\/\d+\/list\/elements\/\d+\/\w+: unknown field$/
}

/** Every problem of an object: wrong types and missing fields as the library says them, and unknown fields. */
export async function findSchemaProblems(object: Manifest): Promise<string[]> {
  if (object.kind === 'LeaderWorkerSet') {
    const templates = await Promise.all(podTemplatesOf(object).map((one) => findSchemaProblems(one)))
    return [...findLeaderWorkerSetProblems(object), ...templates.flat()]
  }
  const verified = VERIFIED_KINDS[`${object.apiVersion} ${object.kind}`]
  if (verified !== undefined) {
    const { apiVersion: _version, kind: _kind, metadata: _metadata, ...body } = object
    return (verified.safeParse(body).error?.issues ?? []).map(({ path, message }) => `/${path.join('/')}: ${message}`)
  }
  const group = object.apiVersion.split('/')[0]
  const kinds = await import(`${CUSTOM_GROUPS[group] ?? 'kubernetes-models'}/${object.apiVersion}`)
  const seen = new Set<string>()
  const problems: string[] = []
  try {
    kinds[object.kind].prototype.validate.call(watch(object, '', seen))
  } catch (error) {
    problems.push((error as Error).message)
  }
  return [...problems, ...findUnread(object, '', seen).filter((problem) => !OPEN_FIELDS[object.kind]?.test(problem))]
}

/**
 * The library's validators let unknown fields pass, as a schema without `additionalProperties` does. A validator reads
 * every field that its schema knows, so a field that none of them has read is one that no schema knows.
 */
function watch(value: unknown, path: string, seen: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value
  return new Proxy(value, {
    get(target, key, receiver) {
      const inner = Reflect.get(target, key, receiver)
      if (typeof key === 'symbol' || (Array.isArray(target) && key === 'length')) return inner
      seen.add(`${path}/${key}`)
      return watch(inner, `${path}/${key}`, seen)
    }
  })
}

function findUnread(value: unknown, path: string, seen: ReadonlySet<string>): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = `${path}/${key}`
    return seen.has(at) ? findUnread(inner, at, seen) : [`${at}: unknown field`]
  })
}
