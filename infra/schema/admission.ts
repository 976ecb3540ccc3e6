// The schema of what a region's API server refuses, and which Kubernetes can.
import { z } from 'zod'
import { type Cluster, isAtLeast } from './cluster.ts'
import type { Problem } from './parts.ts'

/** What happens to a request that breaks a rule. Default: `deny` from Kubernetes 1.30 on, and `none` before it. */
export const admissionSchema = z.enum(['deny', 'warn', 'none'], { error: 'use deny, warn or none' }).exactOptional()
export type Admission = NonNullable<z.output<typeof admissionSchema>>

/** The first Kubernetes that has ValidatingAdmissionPolicy as a stable API. */
export const ADMISSION_MINOR = '1.30'

/** What the region's admission policies do; `none` where there are none. */
export function admissionOf(region: { readonly admission?: Admission; readonly cluster: Cluster }): Admission {
  return region.admission ?? (isAtLeast(region.cluster, ADMISSION_MINOR) ? 'deny' : 'none')
}

/** An admission policy that the cluster's API server does not know. */
export function findAdmissionProblems(region: {
  readonly admission?: Admission
  readonly cluster?: Cluster
}): Problem[] {
  const { admission = 'none', cluster } = region
  if (admission === 'none' || cluster === undefined || isAtLeast(cluster, ADMISSION_MINOR)) return []
  return [
    [
      ['admission'],
      `${admission} needs ValidatingAdmissionPolicy, which Kubernetes has from ${ADMISSION_MINOR} on; cluster.kubernetes says ${cluster.kubernetes}: raise it if the cluster is newer, or leave admission out`
    ]
  ]
}
