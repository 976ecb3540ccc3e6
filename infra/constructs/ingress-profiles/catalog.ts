// The streaming profile of each ingress controller, by the name that a stack uses.
import type { IngressController } from '../../lib/ingress-controllers.ts'
import { f5Nginx } from './f5-nginx.ts'
import { ingressNginx } from './ingress-nginx.ts'
import type { IngressProfile } from './profile.ts'
import { traefik } from './traefik.ts'

export const INGRESS_PROFILES: Readonly<Record<IngressController, IngressProfile>> = {
  'f5-nginx': f5Nginx,
  'ingress-nginx': ingressNginx,
  traefik
}
