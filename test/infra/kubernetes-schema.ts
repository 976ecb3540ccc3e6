// Validates objects with the compiled schemas of kubernetes-models, and refuses fields that those have never looked at.
import type { Manifest } from './stacks.ts'

/** Where the library keeps the kinds of a group that is not Kubernetes' own. */
const CUSTOM_GROUPS: Readonly<Record<string, string>> = {
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'traefik.io': '@kubernetes-models/traefik'
}

/** Every problem of an object: wrong types and missing fields as the library says them, and unknown fields. */
export async function findSchemaProblems(object: Manifest): Promise<string[]> {
  const group = object.apiVersion.split('/')[0]
  const kinds = await import(`${CUSTOM_GROUPS[group] ?? 'kubernetes-models'}/${object.apiVersion}`)
  const seen = new Set<string>()
  const problems: string[] = []
  try {
    kinds[object.kind].prototype.validate.call(watch(object, '', seen))
  } catch (error) {
    problems.push((error as Error).message)
  }
  return [...problems, ...findUnread(object, '', seen)]
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
