// The schema of a region's gateway.
import { z } from 'zod'
import { gatewayScalingSchema } from './autoscaling.ts'
import { image, secretKey } from './parts.ts'

export const gatewaySchema = z.strictObject({
  image,
  /** At least two, so a node may be drained. */
  replicas: z.int().min(2, 'use at least 2: one gateway is an outage at every drain of a node').max(1000).default(2),
  /** In place of `replicas`: by requests and CPU with KEDA, by CPU alone without it. */
  autoscaling: gatewayScalingSchema.exactOptional(),
  /** The Secret with the file of hashed API keys. */
  keysSecret: secretKey,
  cpu: z.number().positive().max(64).exactOptional(),
  memoryMiB: z.int().min(128).max(65_536).exactOptional(),
  /** Largest request body in bytes; gateway and ingress agree on it. */
  maxBodyBytes: z.int().min(1024).max(1_073_741_824).default(10_485_760),
  corsOrigins: z.array(z.string().min(1)).max(256).exactOptional()
})
