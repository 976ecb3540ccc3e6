// What tests make in a cluster that is not theirs: nothing that was there before, and all of it removed afterwards.
import { entrust } from './caretaker.ts'
import type { Kubectl, KubernetesObject } from './kubectl.ts'

/** Objects that a test has laid claim to; disposing deletes them. */
export interface Claims extends AsyncDisposable {
  /**
   * Before they are made. What is in a namespace goes with it.
   * @throws if one of them is there already
   */
  claim(objects: readonly KubernetesObject[]): Promise<void>
}

const REMEDY =
  'tests touch nothing that they have not made: point KUBECONFIG at a cluster without it, such as a new kind cluster'

/** @param path of kubectl @param kubeconfig a file with one context, which stays the same while the tests run */
export function createClaims(kubectl: Kubectl, path: string, kubeconfig: string): Claims {
  const claimed = new Map<string, () => void>()
  const remove = (name: string) => ['delete', '--ignore-not-found', '--timeout=120s', name]
  return {
    async claim(objects) {
      const names = objects
        .filter(({ metadata }) => metadata.namespace === undefined)
        .map(({ apiVersion, kind, metadata }) => `${resourceOf(apiVersion, kind)}/${metadata.name}`)
        .filter((name) => !claimed.has(name))
      for (const name of names) {
        const { stdout } = await kubectl.try(['get', '--ignore-not-found', '--output=name', name])
        if (stdout !== '') throw new Error(`${name} is in this cluster already; ${REMEDY}`)
      }
      for (const name of names) {
        claimed.set(name, entrust({ run: [path, `--kubeconfig=${kubeconfig}`, ...remove(name)] }))
      }
    },
    async [Symbol.asyncDispose]() {
      // in the reverse order: namespaces and what is in them before the definitions of its kinds
      for (const [name, release] of [...claimed].reverse()) {
        await kubectl.run(remove(name))
        release()
      }
    }
  }
}

/** As kubectl takes it: `kind.version.group`, or the kind alone of Kubernetes' first group. */
function resourceOf(apiVersion: string, kind: string): string {
  const [group, version] = apiVersion.split('/')
  return version === undefined ? kind : `${kind}.${version}.${group}`
}
