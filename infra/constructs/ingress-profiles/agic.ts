// Streaming through Azure Application Gateway, driven by its Ingress controller.
import { PATHS } from '../../../gateway/contract.ts'
import { PRIVATE_NETWORKS } from '../../lib/network.ts'
import { type AnnotationProfile, noticeLimit, prefixKeys } from './profile.ts'

/** https://learn.microsoft.com/azure/application-gateway/configuration-http-settings */
const MOST_DRAIN_SECONDS = 3600

export const agic: AnnotationProfile = {
  name: 'agic',
  routedBy: 'ingress',
  ingressClassName: 'azure-application-gateway',
  docs: 'https://azure.github.io/application-gateway-kubernetes-ingress/annotations/',
  origin: () => ({
    cidrs: PRIVATE_NETWORKS,
    guess: "every private address is let in, for the Application Gateway's subnets are not known"
  }),
  annotations: ({ limits: { readTimeoutSeconds, drainSeconds } }) =>
    prefixKeys('appgw.ingress.kubernetes.io/', {
      // 30 s by default, which an answer that is not streamed exceeds.
      'request-timeout': String(readTimeoutSeconds),
      'connection-draining': 'true',
      'connection-draining-timeout': String(Math.min(drainSeconds, MOST_DRAIN_SECONDS)),
      'health-probe-path': PATHS.ready,
      'ssl-redirect': 'true'
    }),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ limits: { maxBodyBytes, drainSeconds } }) => [
    'agic: an Application Gateway buffers responses until it is told otherwise, and no annotation tells it: set globalConfiguration.enableResponseBuffering and enableRequestBuffering to false on the Application Gateway itself (az network application-gateway update --set). Until then tokens arrive in lumps.',
    `agic: a WAF limits request bodies on its own; let its policy take ${maxBodyBytes} bytes.`,
    ...noticeLimit('agic', 'connection draining', drainSeconds, MOST_DRAIN_SECONDS)
  ]
}
