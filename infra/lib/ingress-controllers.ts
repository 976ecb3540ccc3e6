// The names of the ingress controllers that Sluice has a streaming profile for.

export const INGRESS_CONTROLLERS = ['f5-nginx', 'ingress-nginx', 'traefik'] as const
export type IngressController = (typeof INGRESS_CONTROLLERS)[number]
