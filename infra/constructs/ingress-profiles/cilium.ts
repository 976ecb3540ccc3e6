// Streaming through Cilium's Ingress controller.
import { type AnnotationProfile, prefixKeys } from './profile.ts'

/** Cilium's Envoy passes on what it gets, upgrades WebSockets and limits no body. */
export const cilium: AnnotationProfile = {
  name: 'cilium',
  routedBy: 'ingress',
  ingressClassName: 'cilium',
  docs: 'https://docs.cilium.io/en/stable/network/servicemesh/ingress/',
  origin: () => 'cilium',
  annotations: ({ limits }) =>
    prefixKeys('ingress.cilium.io/', {
      // For a whole answer; Envoy's own default is 15 s.
      'request-timeout': `${limits.readTimeoutSeconds}s`,
      'force-https': 'enabled'
    }),
  certificateAnnotations: {},
  serviceAnnotations: () => ({}),
  objects: () => [],
  notices: ({ limits }) => noticeCilium('cilium', limits.readTimeoutSeconds)
}

/** What Cilium has for the whole cluster only. */
export function noticeCilium(name: string, readTimeoutSeconds: number): string[] {
  return [
    `${name}: set envoy.streamIdleTimeoutDurationSeconds of Cilium's chart to ${readTimeoutSeconds} or more; its 300 s cut an answer that is not streamed.`,
    `${name}: an upgrade of Cilium restarts its Envoy and cuts the streams through it, whatever the time budget says.`
  ]
}
