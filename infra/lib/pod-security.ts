// The security contexts that the Pod Security standard `restricted` asks for, and the few needs that a pod may have beyond it.
import type { k8s } from 'cdk8s-plus-28'

/** Who the processes of a pod run as. */
export interface PodUser {
  readonly uid: number
  readonly gid: number
  /** Group of the mounted volumes' files. */
  readonly fsGroup: number
}

/**
 * What an accelerator's driver or its libraries may need that `restricted` forbids: `run-as-root`; `host-ipc`, the shared
 * memory of the node; `ipc-lock`, memory that is pinned for RDMA; `unconfined-seccomp`, every system call; `privileged`,
 * the node's devices. There is no host network: no NetworkPolicy would hold for such a pod.
 */
export const POD_NEEDS = ['run-as-root', 'host-ipc', 'ipc-lock', 'unconfined-seccomp', 'privileged'] as const
export type PodNeed = (typeof POD_NEEDS)[number]

/** A Pod Security standard. */
export type PodSecurityLevel = 'restricted' | 'baseline' | 'privileged'

/** The strictest standard that pods with these needs pass. https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
export function levelOf(needs: readonly PodNeed[]): PodSecurityLevel {
  if (needs.length === 0) return 'restricted'
  return needs.every((need) => need === 'run-as-root') ? 'baseline' : 'privileged'
}

/** A pod that may not run as root and whose system calls are filtered, but for its needs. */
export function restrictPod(user: PodUser, needs: readonly PodNeed[] = []): k8s.PodSecurityContext {
  const asRoot = needs.includes('run-as-root')
  return {
    runAsNonRoot: !asRoot,
    runAsUser: asRoot ? 0 : user.uid,
    runAsGroup: user.gid,
    fsGroup: user.fsGroup,
    // A model cache holds hundreds of GiB: changing the group of each file at every start would cost minutes.
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: seccompOf(needs)
  }
}

/** A container without capabilities that can't gain any, but for its needs. */
export function restrictContainer(options: { readOnlyRoot: boolean; needs?: readonly PodNeed[] }): k8s.SecurityContext {
  const { readOnlyRoot, needs = [] } = options
  const privileged = needs.includes('privileged')
  return {
    // A privileged container has every capability already, and the API server refuses to say otherwise.
    allowPrivilegeEscalation: privileged,
    ...(privileged ? { privileged } : {}),
    readOnlyRootFilesystem: readOnlyRoot,
    runAsNonRoot: !needs.includes('run-as-root'),
    capabilities: { drop: ['ALL'], ...(needs.includes('ipc-lock') ? { add: ['IPC_LOCK'] } : {}) },
    seccompProfile: seccompOf(needs)
  }
}

/** What a pod shares with its node: nothing, but for its needs. */
export function shareWithNode(needs: readonly PodNeed[] = []): Pick<k8s.PodSpec, 'hostIpc'> {
  return needs.includes('host-ipc') ? { hostIpc: true } : {}
}

function seccompOf(needs: readonly PodNeed[]): k8s.SeccompProfile {
  return { type: needs.includes('unconfined-seccomp') ? 'Unconfined' : 'RuntimeDefault' }
}
