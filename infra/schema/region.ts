// The schema of one region: its namespace, its gateway, its way in, and the models that it runs.
import { z } from 'zod'
import { timeBudgetSchema } from '../../gateway/contract.ts'
import { DNS_LABEL, HOST_NAME, OBJECT_NAME, OWN_NAMESPACE } from '../lib/names.ts'
import { admissionSchema, findAdmissionProblems } from './admission.ts'
import { clusterSchema } from './cluster.ts'
import { gatewaySchema } from './gateway.ts'
import { findMissingApis, ingressSchema } from './ingress.ts'
import { monitoringSchema } from './monitoring.ts'
import { networkPolicySchema, networkSchema } from './network.ts'
import { crossCheck, named, type Problem, pickValid } from './parts.ts'
import { placementSchema } from './placement.ts'
import { findExceptionProblems, podSecurityExceptionsSchema } from './pod-security.ts'
import { findSecretProblems, secretsSchema } from './secrets.ts'

const regionShape = z.strictObject({
  /** The folder in charts-out/, and the region that metrics and logs name. */
  name: named(DNS_LABEL),
  /** The region's alone: whatever else runs there is shut in with it. */
  namespace: named(OWN_NAMESPACE),
  cluster: clusterSchema.prefault({}),
  /** The domain of the cluster's Services. */
  clusterDomain: named(HOST_NAME).default('cluster.local'),
  /** Secrets of private registries; every pod of the region gets them. Default: none. */
  imagePullSecrets: z.array(named(OBJECT_NAME)).min(1).max(16).exactOptional(),
  budget: timeBudgetSchema.prefault({}),
  gateway: gatewaySchema,
  ingress: ingressSchema,
  monitoring: monitoringSchema.prefault({}),
  networkPolicy: networkPolicySchema,
  network: networkSchema.prefault({}),
  admission: admissionSchema,
  secrets: secretsSchema,
  podSecurityExceptions: podSecurityExceptionsSchema,
  placements: z.array(placementSchema).min(1, 'place at least one model').max(64)
})

/** A region, what it asks for checked against what its cluster has. */
export const regionSchema = crossCheck(regionShape, (written) => {
  const region = pickValid(regionShape, written)
  const ingress = (written as { ingress?: unknown } | null)?.ingress
  return [
    ...(region.cluster === undefined
      ? []
      : findMissingApis(ingress, region.cluster).map(([path, message]): Problem => [['ingress', ...path], message])),
    ...findAdmissionProblems(region),
    ...findSecretProblems(region),
    ...findExceptionProblems(region)
  ]
})
