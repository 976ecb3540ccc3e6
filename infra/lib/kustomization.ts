// The kustomization.yaml of a folder of manifests: what `kubectl apply -k`, Argo CD and Flux read first.
import { posix } from 'node:path'
import { Yaml } from 'cdk8s'
import { HEADER, type RenderedFile } from './manifests.ts'

/** The name that kustomize looks for. */
export const KUSTOMIZATION_FILE = 'kustomization.yaml'

/**
 * A kustomization for each folder that lists the folder's files in the order they are given. It changes no object:
 * `fifo` keeps kustomize from sorting them by kind.
 * https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/sortoptions/
 */
export function renderKustomizations(files: readonly RenderedFile[], folders: readonly string[]): RenderedFile[] {
  return folders.map((folder) => ({
    file: posix.join(folder, KUSTOMIZATION_FILE),
    text:
      HEADER +
      Yaml.stringify({
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        resources: files.map(({ file }) => file).flatMap((file) => resourceOf(file, folder)),
        sortOptions: { order: 'fifo' }
      })
  }))
}

function resourceOf(file: string, folder: string): string[] {
  return posix.dirname(file) === folder ? [posix.basename(file)] : []
}
