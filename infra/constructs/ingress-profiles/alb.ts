// Streaming through an Application Load Balancer, made by the AWS Load Balancer Controller.
import { PATHS } from '../../../gateway/contract.ts'
import { PRIVATE_NETWORKS } from '../../lib/network.ts'
import { type AnnotationProfile, noticeLimit, prefixKeys, type Route, renderHsts, type WayIn } from './profile.ts'

/** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html */
const MOST_IDLE_SECONDS = 4000
/** https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html */
const MOST_DRAIN_SECONDS = 3600

/** A load balancer passes on what it gets and counts silence only; it limits no body and compresses nothing. */
export const alb: AnnotationProfile = {
  name: 'alb',
  routedBy: 'ingress',
  ingressClassName: 'alb',
  docs: 'https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/',
  origin: () => ({
    cidrs: PRIVATE_NETWORKS,
    guess: "every private address is let in, for the load balancer's subnets are not known"
  }),
  annotations: (wayIn, route) =>
    prefixKeys('alb.ingress.kubernetes.io/', {
      // Straight to the pods: a Service of type ClusterIP has no port on the nodes.
      'target-type': 'ip',
      'listen-ports': '[{"HTTP": 80}, {"HTTPS": 443}]',
      'ssl-redirect': '443',
      'load-balancer-attributes': `idle_timeout.timeout_seconds=${idleSeconds(wayIn)}`,
      'target-group-attributes': `deregistration_delay.timeout_seconds=${Math.min(wayIn.limits.drainSeconds, MOST_DRAIN_SECONDS)}`,
      'healthcheck-path': PATHS.ready,
      'success-codes': '200',
      ...renderAccess(wayIn, route)
    }),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  // A new gateway counts as ready once its target is healthy: a rollout would otherwise drain the old ones before the load
  // balancer knows a new one. https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/
  namespaceLabels: { 'elbv2.k8s.aws/pod-readiness-gate-inject': 'enabled' },
  objects: () => [],
  // A load balancer keeps a connection for as long as its idle timeout, on either side.
  keepsConnectionsSeconds: idleSeconds,
  notices: ({ limits: { readTimeoutSeconds, drainSeconds } }) => [
    'alb: the load balancer is internal unless annotations says alb.ingress.kubernetes.io/scheme: internet-facing.',
    ...noticeLimit('alb', 'the idle timeout', readTimeoutSeconds, MOST_IDLE_SECONDS),
    ...noticeLimit('alb', 'the deregistration delay', drainSeconds, MOST_DRAIN_SECONDS)
  ]
}

function idleSeconds({ limits }: WayIn): number {
  return Math.min(limits.readTimeoutSeconds, MOST_IDLE_SECONDS)
}

function renderAccess({ namespace, routes, hsts, allowFrom }: WayIn, route: Route): Record<string, string> {
  return {
    ...(route.certificateArn === undefined ? {} : { 'certificate-arn': route.certificateArn }),
    // Both Ingresses on one load balancer: each would have its own otherwise.
    ...(routes.length === 1 ? {} : { 'group.name': namespace }),
    ...(hsts === undefined
      ? {}
      : {
          'listener-attributes.HTTPS-443': `routing.http.response.strict_transport_security.header_value=${renderHsts(hsts).replaceAll(' ', '')}`
        }),
    ...(allowFrom === undefined ? {} : { 'inbound-cidrs': allowFrom.join(',') })
  }
}
