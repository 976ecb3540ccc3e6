// The security contexts that the Pod Security standard `restricted` asks for.
import type { k8s } from 'cdk8s-plus-28'

/** Who the processes of a pod run as. */
export interface PodUser {
  readonly uid: number
  readonly gid: number
  /** Group of the mounted volumes' files. */
  readonly fsGroup: number
}

/** A pod that may not run as root and whose system calls are filtered. */
export function restrictPod(user: PodUser): k8s.PodSecurityContext {
  return {
    runAsNonRoot: true,
    runAsUser: user.uid,
    runAsGroup: user.gid,
    fsGroup: user.fsGroup,
    // A model cache holds hundreds of GiB: changing the group of each file at every start would cost minutes.
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' }
  }
}

/** A container without capabilities that can't gain any. */
export function restrictContainer(options: { readOnlyRoot: boolean }): k8s.SecurityContext {
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: options.readOnlyRoot,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' }
  }
}
