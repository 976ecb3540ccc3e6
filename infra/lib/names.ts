// What Kubernetes accepts as a name, as patterns with the sentence that a refusal says.

/** A name pattern and what to say when it doesn't match. */
export interface NameRule {
  readonly pattern: RegExp
  readonly message: string
}

/** RFC 1123 label: namespaces, and most parts of a DNS name. */
export const DNS_LABEL: NameRule = {
  pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  message: 'use a DNS label: a-z, 0-9 and -, starting and ending with a letter or digit, at most 63 characters'
}

/** A namespace of one's own: a region closes the network of all that is in it, and Kubernetes' own pods would be shut in. */
export const OWN_NAMESPACE: NameRule = {
  pattern: /^(?!default$|kube-)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  message: `${DNS_LABEL.message}; default and those that begin with kube- are Kubernetes' own`
}

/**
 * RFC 1035 label, which Services require, short enough for the prefixes and pod suffixes that are added: a pod's name is
 * `engine-<name>-<10 characters>-<5 characters>`.
 */
export const ENGINE_NAME: NameRule = {
  pattern: /^[a-z]([a-z0-9-]{0,36}[a-z0-9])?$/,
  message: 'use a-z, 0-9 and -, starting with a letter and ending with a letter or digit, at most 38 characters'
}

/** RFC 1123 subdomain: Secrets, claims, storage classes, priority classes. */
export const OBJECT_NAME: NameRule = {
  pattern: /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
  message: 'use a Kubernetes object name: a-z, 0-9, - and ., starting and ending with a letter or digit'
}

/** The key of a node's label: a name, with a DNS prefix or without. */
export const LABEL_KEY: NameRule = {
  pattern: /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
  message: 'use the key of a label, such as nvidia.com/gpu.product'
}

/** The value of a label. */
export const LABEL_VALUE: NameRule = {
  pattern: /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/,
  message: 'use the value of a label: letters, digits, ., _ and -, at most 63 characters, in quotes'
}

/** A key inside a Secret. */
export const SECRET_KEY: NameRule = {
  pattern: /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,253}$/,
  message: 'use the key of a Secret: letters, digits, ., _ and -'
}

/** A host that clients can resolve: at least two labels, no port, no scheme, no wildcard, no address. */
export const HOST_NAME: NameRule = {
  pattern: /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/,
  message: 'use a DNS name such as llm.eu-west.example.com: lower case, no scheme, no port, no wildcard'
}
