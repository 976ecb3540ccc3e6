// The streaming profile of each ingress controller, by the name that a stack uses.
import type { IngressController } from '../../lib/ingress-controllers.ts'
import { agic } from './agic.ts'
import { alb } from './alb.ts'
import { cilium } from './cilium.ts'
import { ciliumGateway } from './cilium-gateway.ts'
import { contour } from './contour.ts'
import { envoyGateway } from './envoy-gateway.ts'
import { f5Nginx } from './f5-nginx.ts'
import { gatewayApi } from './gateway-api.ts'
import { gke } from './gke.ts'
import { gkeGateway } from './gke-gateway.ts'
import { haproxyIngress } from './haproxy-ingress.ts'
import { haproxytech } from './haproxytech.ts'
import { ingressNginx } from './ingress-nginx.ts'
import { istio } from './istio.ts'
import { istioGateway } from './istio-gateway.ts'
import { kong } from './kong.ts'
import { kongGateway } from './kong-gateway.ts'
import { nginxGatewayFabric } from './nginx-gateway-fabric.ts'
import type { IngressProfile } from './profile.ts'
import { traefik } from './traefik.ts'
import { traefikGateway } from './traefik-gateway.ts'

export const INGRESS_PROFILES: Readonly<Record<IngressController, IngressProfile>> = {
  agic,
  alb,
  cilium,
  'cilium-gateway': ciliumGateway,
  contour,
  'envoy-gateway': envoyGateway,
  'f5-nginx': f5Nginx,
  'gateway-api': gatewayApi,
  gke,
  'gke-gateway': gkeGateway,
  'haproxy-ingress': haproxyIngress,
  haproxytech,
  'ingress-nginx': ingressNginx,
  istio,
  'istio-gateway': istioGateway,
  kong,
  'kong-gateway': kongGateway,
  'nginx-gateway-fabric': nginxGatewayFabric,
  traefik,
  'traefik-gateway': traefikGateway
}
