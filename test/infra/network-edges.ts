// Finds every edge of a region's network by trying all connections.
import { isAllowed, type Party } from './network-evaluator.ts'
import type { Manifest } from './stacks.ts'

/** Those that anybody in a region or around it listens on. */
export const PORTS = [53, 80, 443, 987, 988, 3128, 6379, 6443, 8000, 8080, 8089]

/** What an object makes pods of, by a name for each kind of pod, and its labels. */
function labelsOfPods({ kind, metadata, spec }: Manifest): [string, Record<string, string>][] {
  switch (kind) {
    case 'Deployment':
      return [[metadata.name, spec.template.metadata.labels]]
    case 'Job':
      return [[spec.template.metadata.labels['app.kubernetes.io/instance'], spec.template.metadata.labels]]
    case 'LeaderWorkerSet': {
      const { leaderTemplate, workerTemplate } = spec.leaderWorkerTemplate
      const labels = [leaderTemplate.metadata.labels, workerTemplate.metadata.labels]
      return labels.map((one) => [one['app.kubernetes.io/instance'], one])
    }
    default:
      return []
  }
}

/** Every connection between a pod of the region and anybody that gets through, as `from -> to port`. */
export function edgesOf(manifests: Manifest[], others: Readonly<Record<string, Party>>): string[] {
  const pods = manifests
    .flatMap(labelsOfPods)
    .map(([name, labels], index): [string, Party] => [
      name,
      { address: `10.1.1.${index}`, namespace: 'sluice', labels }
    ])
  const parties = [...pods, ...Object.entries(others)]
  const isOwn = (party: Party) => party.namespace === 'sluice'
  return parties.flatMap(([fromName, from]) =>
    parties.flatMap(([toName, to]) =>
      PORTS.flatMap((port) =>
        (['TCP', 'UDP'] as const).flatMap((protocol) => {
          const isRegional = from !== to && (isOwn(from) || isOwn(to))
          if (!isRegional || !isAllowed(manifests, { from, to, port, protocol })) return []
          return [`${fromName} -> ${toName} ${port}${protocol === 'UDP' ? '/udp' : ''}`]
        })
      )
    )
  )
}
