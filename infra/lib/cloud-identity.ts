// What a cloud wants of pods that take an identity of its by an annotation of their ServiceAccount.
import type { Addresses, Port } from './network.ts'

type Annotations = Readonly<Record<string, string>>

/** Azure's webhook looks at pods with this label only. https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html */
const AZURE_ACCOUNT = 'azure.workload.identity/client-id'
const AZURE_LABEL = { 'azure.workload.identity/use': 'true' } as const

const GOOGLE_ACCOUNT = 'iam.gke.io/gcp-service-account'

/** Where pods get tokens from, and the ports. */
export interface TokenServer {
  readonly end: Addresses
  readonly ports: readonly Port[]
}

/**
 * GKE's metadata server, which knows a pod by its address and gives it its own tokens, never the node's: port 80 and 8080
 * of its address with Dataplane V2, 987 and 988 of what the older dataplane turns that into.
 * https://cloud.google.com/kubernetes-engine/docs/how-to/network-policy
 */
const GKE_METADATA: TokenServer = {
  end: { name: 'gke-metadata', blocks: [{ cidr: '169.254.169.252/32' }, { cidr: '169.254.169.254/32' }] },
  ports: [{ port: 80 }, { port: 987 }, { port: 988 }, { port: 8080 }]
}

/** Labels that the pods need; none on AWS, whose webhook looks at the ServiceAccount alone. */
export function identityLabelsOf(annotations: Annotations = {}): Record<string, string> {
  return AZURE_ACCOUNT in annotations ? { ...AZURE_LABEL } : {}
}

/** Whom the pods have to reach for a token; nobody on AWS and Azure, which give theirs out on the internet. */
export function tokenServerOf(annotations: Annotations = {}): TokenServer | undefined {
  return GOOGLE_ACCOUNT in annotations ? GKE_METADATA : undefined
}
