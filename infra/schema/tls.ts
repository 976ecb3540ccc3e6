// The schema of a host's certificate: where it is, and who makes it.
import { z } from 'zod'
import { OBJECT_NAME } from '../lib/names.ts'
import { named } from './parts.ts'

export const tlsSchema = z.strictObject({
  /** A Secret of type kubernetes.io/tls, made by cert-manager when `clusterIssuer` is given. */
  secretName: named(OBJECT_NAME).exactOptional(),
  clusterIssuer: named(OBJECT_NAME).exactOptional(),
  /** Instead of a Secret: a certificate in AWS Certificate Manager, for controller alb. */
  certificateArn: z
    .string()
    .regex(/^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[A-Za-z0-9-]+$/, 'use the ARN of a certificate in ACM')
    .exactOptional()
})
