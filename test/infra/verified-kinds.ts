// Kinds that no package has schemas of, as strict shapes of the fields that were looked up in their sources.
import { z } from 'zod'

const target = z.strictObject({ group: z.string(), kind: z.string().min(1), name: z.string().min(1) })

/** NGINX Gateway Fabric: apis/v1alpha1 and config/crd/bases of nginx/nginx-gateway-fabric. */
const nginxDuration = z.string().regex(/^[0-9]{1,4}(ms|s|m|h)?$/)
const nginxSize = z.string().regex(/^\d{1,4}(k|m|g)?$/)
const proxySettings = z.strictObject({
  targetRefs: z.array(target).min(1).max(16),
  buffering: z.strictObject({ disable: z.boolean() }),
  timeout: z.strictObject({ connect: nginxDuration, read: nginxDuration, send: nginxDuration })
})
const clientSettings = z.strictObject({ targetRef: target, body: z.strictObject({ maxSize: nginxSize }) })

/** F5's Policy, which holds exactly one policy: config/crd/bases/k8s.nginx.org_policies.yaml of nginx/kubernetes-ingress. */
const policy = z.union([
  z.strictObject({ accessControl: z.strictObject({ allow: z.array(z.string()).min(1) }) }),
  z.strictObject({
    ingressMTLS: z.strictObject({
      clientCertSecret: z.string().min(1),
      verifyClient: z.enum(['on', 'off', 'optional'])
    })
  })
])

/** GKE: pkg/apis/backendconfig/v1 and frontendconfig/v1beta1 of kubernetes/ingress-gce, and https://googlecloudplatform.github.io/gke-gateway-api/. */
const draining = z.strictObject({ drainingTimeoutSec: z.int().min(0).max(3600) })
const backendConfig = z.strictObject({
  timeoutSec: z.int().min(1),
  connectionDraining: draining,
  healthCheck: z.strictObject({ type: z.enum(['HTTP', 'HTTPS', 'HTTP2']), requestPath: z.string(), port: z.int() }),
  customResponseHeaders: z.strictObject({ headers: z.array(z.string().regex(/^[A-Za-z-]+: ?.+$/)) }).optional()
})
const frontendConfig = z.strictObject({ redirectToHttps: z.strictObject({ enabled: z.boolean() }) })
const backendPolicy = z.strictObject({
  default: z.strictObject({ timeoutSec: z.int().min(1).max(2_147_483_647), connectionDraining: draining }),
  targetRef: target
})
const healthCheckPolicy = z.strictObject({
  default: z.strictObject({
    config: z.strictObject({
      type: z.literal('HTTP'),
      httpHealthCheck: z.strictObject({ port: z.int().min(1).max(65_535), requestPath: z.string().regex(/^\//) })
    })
  }),
  targetRef: target
})

/** Kong's plugin has its fields beside `metadata`: https://developer.konghq.com/kubernetes-ingress-controller/reference/custom-resources/. */
const kongPlugin = z.union([
  z.strictObject({
    plugin: z.literal('ip-restriction'),
    config: z.strictObject({ allow: z.array(z.string()).min(1) })
  }),
  z.strictObject({
    plugin: z.literal('response-transformer'),
    config: z.strictObject({ add: z.strictObject({ headers: z.array(z.string().regex(/^[A-Za-z-]+:.+$/)) }) })
  })
])

/** Cilium: pkg/policy/api and the CRD that its docs show, https://docs.cilium.io/en/stable/security/policy/. */
const ciliumPolicy = z.strictObject({
  endpointSelector: z.strictObject({ matchLabels: z.record(z.string(), z.string()).optional() }),
  ingress: z.array(
    z.strictObject({
      fromEntities: z.array(z.enum(['ingress', 'world', 'cluster', 'host'])).min(1),
      toPorts: z
        .array(
          z.strictObject({
            ports: z.array(z.strictObject({ port: z.string(), protocol: z.enum(['TCP', 'UDP', 'ANY']) })).min(1)
          })
        )
        .optional()
    })
  )
})

const withSpec = (spec: z.ZodType) => z.strictObject({ spec })

/** By apiVersion and kind, everything of an object beside `apiVersion`, `kind` and `metadata`. */
export const VERIFIED_KINDS: Readonly<Record<string, z.ZodType>> = {
  'gateway.nginx.org/v1alpha1 ProxySettingsPolicy': withSpec(proxySettings),
  'gateway.nginx.org/v1alpha1 ClientSettingsPolicy': withSpec(clientSettings),
  'k8s.nginx.org/v1 Policy': withSpec(policy),
  'cilium.io/v2 CiliumNetworkPolicy': withSpec(ciliumPolicy),
  'cloud.google.com/v1 BackendConfig': withSpec(backendConfig),
  'networking.gke.io/v1beta1 FrontendConfig': withSpec(frontendConfig),
  'networking.gke.io/v1 GCPBackendPolicy': withSpec(backendPolicy),
  'networking.gke.io/v1 HealthCheckPolicy': withSpec(healthCheckPolicy),
  'configuration.konghq.com/v1 KongPlugin': kongPlugin
}
