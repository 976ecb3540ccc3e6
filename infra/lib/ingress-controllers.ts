// The ingress controllers and gateways that Sluice has a streaming profile for, and what each of them can't do.

export const INGRESS_CONTROLLERS = [
  'agic',
  'alb',
  'cilium',
  'cilium-gateway',
  'contour',
  'envoy-gateway',
  'f5-nginx',
  'gateway-api',
  'gke',
  'gke-gateway',
  'haproxy-ingress',
  'haproxytech',
  'ingress-nginx',
  'istio',
  'istio-gateway',
  'kong',
  'kong-gateway',
  'nginx-gateway-fabric',
  'traefik',
  'traefik-gateway'
] as const
export type IngressController = (typeof INGRESS_CONTROLLERS)[number]

/** What a stack may ask of the way in, beyond a host and its certificate. */
export type IngressFeature = 'hsts' | 'allowFrom' | 'clientCa' | 'clusterIssuer' | 'gateway'

/** What the schema has to know of a controller; the profile knows the rest. */
export interface ControllerTraits {
  /** What a host is routed by: an Ingress, an HTTPRoute of the Gateway API, or kinds of the controller's own. */
  readonly routedBy: 'ingress' | 'gateway-api' | 'own-kinds'
  /** Where the certificate is: in a Secret, or in AWS Certificate Manager. */
  readonly certificate: 'secret' | 'arn'
  /** What is refused, each with the remedy. */
  readonly refuses: Readonly<Partial<Record<IngressFeature, string>>>
}

const NO_GATEWAY = 'it has no Gateway to attach to; leave gateway out'
const AT_GATEWAY = 'leave it out, and let it be set at the load balancer, or take envoy-gateway'
const MTLS_BY_OTHERS = 'take contour, envoy-gateway, f5-nginx, haproxy-ingress, istio or traefik'

const ingress = (refuses: ControllerTraits['refuses'] = {}): ControllerTraits => ({
  routedBy: 'ingress',
  certificate: 'secret',
  refuses: { gateway: NO_GATEWAY, ...refuses }
})

const gateway = (refuses: ControllerTraits['refuses'] = {}): ControllerTraits => ({
  routedBy: 'gateway-api',
  certificate: 'secret',
  refuses
})

export const CONTROLLER_TRAITS: Readonly<Record<IngressController, ControllerTraits>> = {
  agic: ingress({
    hsts: 'set it by a rewrite set on the Application Gateway',
    allowFrom: 'set it by a WAF policy or a network security group of the Application Gateway',
    clientCa: 'set it by an SSL profile of the Application Gateway'
  }),
  alb: {
    ...ingress({
      clientCa:
        'a load balancer reads CAs from its own trust store; set alb.ingress.kubernetes.io/mutual-authentication in annotations',
      clusterIssuer: 'a load balancer takes certificates from ACM; write certificateArn'
    }),
    certificate: 'arn'
  },
  cilium: ingress({
    hsts: 'its Ingress adds no header; take cilium-gateway',
    allowFrom: "set loadBalancerSourceRanges on the Ingress's Service, which Cilium makes",
    clientCa: MTLS_BY_OTHERS
  }),
  'cilium-gateway': gateway({ allowFrom: AT_GATEWAY, clientCa: MTLS_BY_OTHERS }),
  contour: { ...ingress(), routedBy: 'own-kinds' },
  'envoy-gateway': gateway(),
  'f5-nginx': ingress(),
  'gateway-api': gateway({
    allowFrom: 'the Gateway API has no field for it; name the implementation, as envoy-gateway',
    clientCa: 'not every implementation has it; name the implementation, as envoy-gateway'
  }),
  gke: ingress({
    allowFrom: 'set it by a Cloud Armor policy on the backend service',
    clientCa: 'set it by a ServerTlsPolicy of the load balancer'
  }),
  'gke-gateway': gateway({
    allowFrom: 'set it by a Cloud Armor policy on the backend service',
    clientCa: 'set it by a ServerTlsPolicy of the load balancer'
  }),
  'haproxy-ingress': ingress(),
  haproxytech: ingress({ clientCa: 'it has one CA for all hosts, client-ca in its ConfigMap' }),
  'ingress-nginx': ingress({
    hsts: 'it sends the header of its own accord, with the numbers of its ConfigMap (hsts, hsts-max-age)'
  }),
  istio: {
    routedBy: 'own-kinds',
    certificate: 'secret',
    refuses: {
      allowFrom: "an AuthorizationPolicy has to stand beside the gateway's pods; take istio-gateway",
      clusterIssuer:
        "Istio reads the Secret beside its gateway's pods; make the Certificate there, or take istio-gateway"
    }
  },
  'istio-gateway': gateway({ clientCa: 'take istio, or envoy-gateway' }),
  kong: ingress({ clientCa: 'its mtls-auth plugin needs an enterprise license; attach it by konghq.com/plugins' }),
  'kong-gateway': gateway({
    clientCa: 'its mtls-auth plugin needs an enterprise license; attach it by konghq.com/plugins'
  }),
  'nginx-gateway-fabric': gateway({ allowFrom: AT_GATEWAY, clientCa: MTLS_BY_OTHERS }),
  traefik: ingress(),
  'traefik-gateway': gateway({ clientCa: 'take traefik' })
}
