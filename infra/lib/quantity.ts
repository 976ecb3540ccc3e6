// Quantities as the API server stores them: one that it writes in another way looks like a change at every apply.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
import { k8s } from 'cdk8s-plus-28'

const SUFFIXES = ['Mi', 'Gi', 'Ti', 'Pi'] as const

/** A number of things, such as GPUs. */
export const countOf = (number: number): k8s.Quantity => k8s.Quantity.fromString(`${number}`)

/** CPU cores, to the thousandth. */
export function coresOf(cores: number): k8s.Quantity {
  const milli = Math.round(cores * 1000)
  return k8s.Quantity.fromString(milli % 1000 === 0 ? `${milli / 1000}` : `${milli}m`)
}

/** Memory or storage in the largest unit that it is a whole number of. */
export function mebibytesOf(mebibytes: number): k8s.Quantity {
  const sizes = SUFFIXES.map((suffix, power) => ({ suffix, size: Math.ceil(mebibytes) / 1024 ** power }))
  const { suffix, size } = sizes.findLast((one) => Number.isInteger(one.size)) ?? { suffix: 'Mi', size: mebibytes }
  return k8s.Quantity.fromString(`${size}${suffix}`)
}

/** As `mebibytesOf`, of GiB. */
export const gibibytesOf = (gibibytes: number): k8s.Quantity => mebibytesOf(gibibytes * 1024)

/** What a container asks for, and may use: twice its cores, and no more memory, which can't be taken back. */
export function resourcesOf(
  cores: number,
  memory: k8s.Quantity,
  devices: Readonly<Record<string, k8s.Quantity>> = {}
): k8s.ResourceRequirements {
  return {
    requests: { cpu: coresOf(cores), memory, ...devices },
    limits: { cpu: coresOf(cores * 2), memory, ...devices }
  }
}
