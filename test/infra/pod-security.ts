// What the Pod Security standard `restricted` refuses in a pod, and nothing beyond it.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/
import type { Manifest } from './stacks.ts'

const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  // Since Kubernetes 1.33: kubernetes/kubernetes#130394.
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret'
]

/** Every violation in a pod's spec. */
export function findViolations(pod: Manifest): string[] {
  const violations: string[] = []
  const refuse = (when: boolean, what: string) => {
    if (when) violations.push(what)
  }
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) refuse(pod[field] === true, field)
  for (const volume of pod.volumes ?? []) {
    const kinds = Object.keys(volume).filter((key) => key !== 'name')
    refuse(
      kinds.some((kind) => !VOLUMES.includes(kind)),
      `volume ${volume.name} is ${kinds}`
    )
  }
  for (const container of [...(pod.initContainers ?? []), ...(pod.containers ?? [])]) {
    const own = container.securityContext ?? {}
    const effective = { ...pod.securityContext, ...own }
    refuse(own.privileged === true, `${container.name} is privileged`)
    refuse(own.allowPrivilegeEscalation !== false, `${container.name} may gain privileges`)
    refuse(!own.capabilities?.drop?.includes('ALL'), `${container.name} keeps capabilities`)
    refuse(
      (own.capabilities?.add ?? []).some((name: string) => name !== 'NET_BIND_SERVICE'),
      `${container.name} adds capabilities`
    )
    refuse(effective.runAsNonRoot !== true, `${container.name} may run as root`)
    refuse(effective.runAsUser === 0, `${container.name} runs as root`)
    refuse(
      !['RuntimeDefault', 'Localhost'].includes(effective.seccompProfile?.type),
      `${container.name} has no seccomp profile`
    )
    refuse(
      (container.ports ?? []).some((port: Manifest) => port.hostPort),
      `${container.name} takes a host port`
    )
  }
  return violations
}
