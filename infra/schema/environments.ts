// Checks that the environments of a stack keep out of each other's way, and that each region's label fits.
import { regionLabelValue } from '../lib/labels.ts'
import { DNS_LABEL } from '../lib/names.ts'

/** The folder of charts-out/ that is no region and no environment. */
export const GITOPS_FOLDER = 'gitops'

/** Kubernetes' limit for the value of a label. */
const MAX_LABEL_LENGTH = 63

interface RegionNames {
  readonly name: string
  readonly namespace: string
  readonly ingress: { readonly host: string; readonly sharedHost?: { readonly host: string } }
}

/** An environment, as far as it can meet another one. */
export interface EnvironmentNames {
  /** Undefined where the stack has no environments. */
  readonly name?: string
  readonly stack: { readonly name: string; readonly regions: readonly RegionNames[] }
}

/** What is wrong with the names of environments: each is a folder and a part of labels. */
export function findNameProblems(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    if (!DNS_LABEL.pattern.test(name)) return [`environments.${name}: ${DNS_LABEL.message}`]
    return name === GITOPS_FOLDER ? [`environments.${name}: the folder ${name} is taken; choose another name`] : []
  })
}

/** What two environments share and must not: a host answers for one of them, and so does a namespace of one cluster. */
export function findMeetings(environments: readonly EnvironmentNames[]): string[] {
  const owners = new Map<string, string>()
  return environments.flatMap(({ name = '', stack }) =>
    stack.regions.flatMap((region) => {
      const { host, sharedHost } = region.ingress
      const claims = [
        `namespace ${region.namespace}`,
        `ingress.host ${host}`,
        ...(sharedHost === undefined ? [] : [`ingress.sharedHost.host ${sharedHost.host}`])
      ]
      return claims.flatMap((claim) => {
        const owner = owners.get(claim) ?? name
        owners.set(claim, owner)
        return owner === name
          ? []
          : [`environments.${name}: region ${region.name} has the ${claim} of ${owner}; give it another one`]
      })
    })
  )
}

/** Regions whose folder is taken, or whose label is too long. */
export function findRegionProblems({ name, stack }: EnvironmentNames): string[] {
  return stack.regions.flatMap((region) => {
    const path = `${name === undefined ? '' : `environments.${name}: `}region ${region.name}`
    if (region.name === GITOPS_FOLDER) return [`${path}: the folder ${GITOPS_FOLDER} is taken; choose another name`]
    const label = regionLabelValue(stack.name, name, region.name)
    if (label.length <= MAX_LABEL_LENGTH) return []
    return [`${path}: its label ${label} has ${label.length} characters, more than ${MAX_LABEL_LENGTH}; shorten a name`]
  })
}
