// Names a value inside a Secret; manifests hold such names and never a value.

/** One key of a Secret in the pod's namespace. Whoever runs the cluster creates it. */
export interface SecretKey {
  /** The Secret's `metadata.name`. */
  readonly name: string
  /** The key in its `data`. */
  readonly key: string
}
