// The way in from outside: the region's hosts over TLS for the API's paths, told by a profile to leave streams alone.
import { ApiObject } from 'cdk8s'
import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { labelsOf } from '../lib/labels.ts'
import {
  type AnnotationProfile,
  type ControllerObject,
  type IngressProfile,
  publicPaths,
  type Route,
  type WayIn
} from './ingress-profiles/profile.ts'

/** Properties of `StreamingIngress`: the way in, and how its controller is told. */
export interface StreamingIngressProps extends WayIn {
  /** What the controller has to be told. */
  readonly profile: IngressProfile
}

/** An Ingress a host with the profile's annotations, or what the controller has instead, and its own objects beside it. */
export class StreamingIngress extends Construct {
  /** What whoever runs the controller has to set there. */
  readonly notices: readonly string[]

  constructor(scope: Construct, id: string, props: StreamingIngressProps) {
    super(scope, id)
    const { profile, routes } = props
    this.notices = profile.notices(props)

    if (profile.routedBy === 'ingress') {
      for (const [index, route] of routes.entries()) {
        this.addIngress(index === 0 ? 'Resource' : `Ingress-${route.name}`, profile, props, route)
      }
    }
    const certificates = profile.routedBy === 'ingress' ? [] : routes.flatMap((route) => renderCertificate(route))
    for (const [index, object] of [...profile.objects(props), ...certificates].entries()) {
      const isMain = profile.routedBy === 'objects' && index === 0
      this.addObject(isMain ? 'Resource' : `${object.kind}-${object.name}`, props, object)
    }
  }

  private addIngress(id: string, profile: AnnotationProfile, wayIn: WayIn, route: Route): void {
    const own = renderAnnotations(profile, wayIn, route)
    this.refuseOverrides(route, own)
    new k8s.KubeIngress(this, id, {
      metadata: { name: route.name, labels: renderLabels(route.name), annotations: { ...route.annotations, ...own } },
      spec: renderIngress(profile, wayIn, route)
    })
  }

  private addObject(
    id: string,
    { routes }: WayIn,
    { apiVersion, kind, name, annotations, body }: ControllerObject
  ): void {
    const route = routes.find((one) => one.name === name)
    if (route !== undefined && annotations !== undefined) this.refuseOverrides(route, annotations)
    const metadata = {
      name,
      labels: renderLabels(routes[0].name),
      ...(annotations === undefined ? {} : { annotations })
    }
    new ApiObject(this, id, { apiVersion, kind, metadata, ...body })
  }

  /** An operator's annotation that says otherwise than the profile would be dropped in silence. */
  private refuseOverrides({ annotations = {} }: Route, own: Readonly<Record<string, string>>): void {
    const problems = Object.entries(annotations)
      .filter(([key, value]) => own[key] !== undefined && own[key] !== value)
      .map(([key, value]) => `${this.node.path}: Sluice sets ${key} to ${own[key]}, so annotations can't say ${value}`)
    this.node.addValidation({ validate: () => problems })
  }
}

function renderLabels(instance: string): Record<string, string> {
  return labelsOf({ name: 'sluice-ingress', instance, component: 'ingress' })
}

function renderAnnotations(profile: AnnotationProfile, wayIn: WayIn, route: Route): Record<string, string> {
  return {
    ...profile.annotations(wayIn, route),
    ...(route.clusterIssuer === undefined
      ? {}
      : { 'cert-manager.io/cluster-issuer': route.clusterIssuer, ...profile.certificateAnnotations })
  }
}

function renderIngress(profile: AnnotationProfile, wayIn: WayIn, { host, secretName }: Route): k8s.IngressSpec {
  const { ingressClassName } = profile
  const service = { name: wayIn.serviceName, port: { number: wayIn.port } }
  const paths = publicPaths(wayIn).map(({ path, isExact }) => ({ path, pathType: isExact ? 'Exact' : 'Prefix' }))
  return {
    ...(ingressClassName === undefined ? {} : { ingressClassName: wayIn.className ?? ingressClassName }),
    tls: [{ hosts: [host], ...(secretName === undefined ? {} : { secretName }) }],
    rules: [{ host, http: { paths: paths.map((path) => ({ ...path, backend: { service } })) } }]
  }
}

/** cert-manager makes a certificate of its own accord for an Ingress only. */
function renderCertificate({ name, host, secretName, clusterIssuer }: Route): ControllerObject[] {
  if (clusterIssuer === undefined) return []
  const issuerRef = { group: 'cert-manager.io', kind: 'ClusterIssuer', name: clusterIssuer }
  const spec = { secretName, dnsNames: [host], issuerRef }
  return [{ apiVersion: 'cert-manager.io/v1', kind: 'Certificate', name, body: { spec } }]
}
