// The CustomResourceDefinitions that manifests of a region rely on, read from the modules of those who define them.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { Kubectl, KubernetesObject } from './kubectl.ts'
import { eventually } from './processes.ts'
import { runGo } from './programs.ts'

const bases = (group: string, ...plurals: string[]) =>
  plurals.map((plural) => `config/crd/bases/${group}_${plural}.yaml`)

/** Files with definitions, by the module of `programs/crds/go.mod` that they are in. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  'github.com/argoproj/argo-cd/v3': ['manifests/crds/applicationset-crd.yaml'],
  'github.com/bitnami-labs/sealed-secrets': ['helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml'],
  'github.com/cert-manager/cert-manager': ['deploy/crds/cert-manager.io_certificates.yaml'],
  'github.com/cilium/cilium': ['pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml'],
  'github.com/envoyproxy/gateway': [
    'backendtrafficpolicies',
    'clienttrafficpolicies',
    'envoyproxies',
    'securitypolicies'
  ].map((plural) => `charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_${plural}.yaml`),
  'github.com/external-secrets/external-secrets': ['config/crds/bases/external-secrets.io_externalsecrets.yaml'],
  'github.com/fluxcd/kustomize-controller': bases('kustomize.toolkit.fluxcd.io', 'kustomizations'),
  'github.com/fluxcd/source-controller': bases('source.toolkit.fluxcd.io', 'gitrepositories'),
  'github.com/kedacore/keda/v2': bases('keda.sh', 'scaledobjects'),
  'github.com/kong/kubernetes-configuration': [
    'config/crd/ingress-controller/configuration.konghq.com_kongplugins.yaml'
  ],
  'github.com/nginx/kubernetes-ingress': ['deployments/common/crds/k8s.nginx.org_policies.yaml'],
  'github.com/projectcontour/contour': ['examples/contour/01-crds.yaml'],
  'github.com/prometheus-operator/prometheus-operator': ['podmonitors', 'prometheusrules'].map(
    (plural) => `example/prometheus-operator-crd/monitoring.coreos.com_${plural}.yaml`
  ),
  'github.com/traefik/traefik/v3': ['docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml'],
  'istio.io/api': ['kubernetes/customresourcedefinitions.gen.yaml'],
  'sigs.k8s.io/gateway-api': ['gateways', 'httproutes'].map(
    (plural) => `config/crd/standard/gateway.networking.k8s.io_${plural}.yaml`
  ),
  'sigs.k8s.io/lws': bases('leaderworkerset.x-k8s.io', 'leaderworkersets')
}

/** Of a file with all definitions of a project, those that a region has objects of. */
const USED = new Set([
  'authorizationpolicies.security.istio.io',
  'destinationrules.networking.istio.io',
  'gateways.networking.istio.io',
  'httpproxies.projectcontour.io',
  'middlewares.traefik.io',
  'serverstransports.traefik.io',
  'tlsoptions.traefik.io',
  'virtualservices.networking.istio.io'
])

/** Groups whose modules are not served: objects of theirs are held against shapes instead, in test/infra/verified-kinds.ts. */
export const UNAVAILABLE_GROUPS = ['cloud.google.com', 'gateway.nginx.org', 'networking.gke.io'] as const

interface Pin {
  readonly Path: string
  readonly Version: string
}

/** Every definition, downloaded where it has not been. @throws if a file has moved, as a new version of a module may do */
export async function readDefinitions(): Promise<readonly KubernetesObject[]> {
  // read, not resolved: each module's own requirements would raise the versions of the others
  const { Require: pins }: { Require: Pin[] } = JSON.parse(await runGo('crds', ['mod', 'edit', '-json']))
  const wanted = pins.map(({ Path, Version }) => `${Path}@${Version}`)
  const downloaded = await runGo('crds', ['mod', 'download', '-json', ...wanted])
  const folders: { Path: string; Dir: string }[] = JSON.parse(`[${downloaded.replace(/\}\s*\{/g, '},{')}]`)
  return folders.flatMap(({ Path, Dir }) => (FILES[Path] ?? []).flatMap((file) => readFile(Path, join(Dir, file))))
}

function readFile(module: string, path: string): KubernetesObject[] {
  if (!existsSync(path)) throw new Error(`${module} has no ${path}: look where its definitions are now`)
  const objects = parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS())
  const definitions = objects.filter((object) => object?.kind === 'CustomResourceDefinition')
  return definitions.filter(({ metadata }) => definitions.length === 1 || USED.has(metadata.name))
}

/** Until the API serves definitions that it has, and tells of them: clients look a kind up in its list. @param names of them */
export async function untilServed(kubectl: Kubectl, names: readonly string[]): Promise<void> {
  const crds = names.map((name) => `crd/${name}`)
  await kubectl.run(['wait', '--for=condition=Established', '--timeout=60s', ...crds])
  await eventually('the API lists every kind that was defined', async () => {
    const { stdout } = await kubectl.try(['api-resources', '--output=name'])
    const listed = new Set(stdout.split('\n'))
    return names.every((name) => listed.has(name))
  })
}
