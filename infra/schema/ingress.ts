// The schema of the way into a region: controller, host, TLS.
import { z } from 'zod'
import { INGRESS_CONTROLLERS } from '../lib/ingress-controllers.ts'
import { HOST_NAME, OBJECT_NAME } from '../lib/names.ts'
import { named } from './parts.ts'

export const ingressSchema = z.strictObject({
  controller: z.enum(INGRESS_CONTROLLERS),
  /** The DNS name that clients call. */
  host: named(HOST_NAME),
  tls: z.strictObject({
    /** A Secret of type kubernetes.io/tls, made by cert-manager when `clusterIssuer` is given. */
    secretName: named(OBJECT_NAME),
    clusterIssuer: named(OBJECT_NAME).exactOptional()
  }),
  /** Default: the class that the controller's own chart creates. */
  ingressClassName: named(OBJECT_NAME).exactOptional()
})
