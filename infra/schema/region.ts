// The schema of one region: its namespace, its gateway, its way in, and the models that it runs.
import { z } from 'zod'
import { timeBudgetSchema } from '../../gateway/contract.ts'
import { DNS_LABEL, HOST_NAME } from '../lib/names.ts'
import { clusterSchema } from './cluster.ts'
import { gatewaySchema } from './gateway.ts'
import { ingressSchema } from './ingress.ts'
import { monitoringSchema } from './monitoring.ts'
import { named } from './parts.ts'
import { placementSchema } from './placement.ts'

export const regionSchema = z.strictObject({
  /** The folder in charts-out/, and the region that metrics and logs name. */
  name: named(DNS_LABEL),
  namespace: named(DNS_LABEL),
  cluster: clusterSchema.prefault({}),
  /** The domain of the cluster's Services. */
  clusterDomain: named(HOST_NAME).default('cluster.local'),
  budget: timeBudgetSchema.prefault({}),
  gateway: gatewaySchema,
  ingress: ingressSchema,
  monitoring: monitoringSchema.prefault({}),
  placements: z.array(placementSchema).min(1, 'place at least one model').max(64)
})
