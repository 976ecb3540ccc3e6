// Finds objects that would overwrite each other on `kubectl apply`, which cdk8s does not look for.
import { ApiObject } from 'cdk8s'
import type { IConstruct } from 'constructs'

/** One line for each apiVersion, kind, namespace and name that stands more than once below `root`. */
export function findDuplicates(root: IConstruct): string[] {
  const places = new Map<string, string[]>()
  for (const object of root.node.findAll().filter((node) => node instanceof ApiObject)) {
    const { name, namespace } = object.metadata
    const where = namespace === undefined ? 'of the cluster' : `in namespace ${namespace}`
    const key = `${object.apiVersion} ${object.kind} ${name} ${where}`
    places.set(key, [...(places.get(key) ?? []), object.node.path])
  }
  return [...places]
    .filter(([, paths]) => paths.length > 1)
    .map(([key, paths]) => `${paths.join(', ')}: the same object twice: ${key}; give one of them another name`)
}
