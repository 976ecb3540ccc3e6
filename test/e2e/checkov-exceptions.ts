// Every finding of checkov in charts-out/ that is accepted, and why. A finding that is not here fails the tests, and so does a line that nothing needs.

/** A check that some objects may fail. */
export interface Exception {
  /** https://www.checkov.io/5.Policy%20Index/kubernetes.html */
  readonly check: string
  /** The objects, as checkov writes them: `Deployment.<namespace>.<name>`. */
  readonly objects: RegExp
  readonly reason: string
}

const ANY_POD = /^(Deployment|Job)\./
/** Engines, and the Jobs that warm their caches with the engine's image. */
const ENGINES = /^(Deployment|Job)\..+\.engine-/

export const EXCEPTIONS: readonly Exception[] = [
  {
    check: 'CKV_K8S_43', // image by digest
    objects: ANY_POD,
    reason:
      'A stack may name digests, and tags that move are refused at synth and by the API server. The example names releases; a platform team pins the digests of its own registry.'
  },
  {
    check: 'CKV_K8S_15', // imagePullPolicy Always
    objects: ANY_POD,
    reason:
      'Tags are pinned, so a pull brings nothing new; it would make every restart of a pod depend on the registry, and an engine image has 10 GB.'
  },
  {
    check: 'CKV_K8S_40', // user id of 10000 or more
    objects: ANY_POD,
    reason:
      "Both images are made for their users: 1000 in Node's, 2000 with the home of the caches in vLLM's. Neither runs as root, and no host directory is shared with them."
  },
  {
    check: 'CKV_K8S_22', // read-only root filesystem
    objects: ENGINES,
    reason:
      "NVIDIA's CDI hooks write /etc/ld.so.cache into the container's root at its start. The gateway's root is read-only."
  },
  {
    check: 'CKV_K8S_35', // secrets as files, not as variables
    objects: ENGINES,
    reason:
      'vLLM reads its API key and huggingface_hub its token from variables. The gateway, which can read files, has its secrets as files.'
  }
]
