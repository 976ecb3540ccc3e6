// The wires between the test and its nodes: one from each node to here, one between the two, and routes to their pods.
import type { NodeSpace } from './node-space.ts'
import { runProgram } from './shell.ts'

/** The addresses of one cluster: a slot of RFC 2544's benchmark range, which no real network has. */
export interface AddressPlan {
  readonly slot: number
  /** Where the node sees the test, and the test listens for it. */
  readonly outside: (index: number) => string
  readonly node: (index: number) => string
  readonly pods: (index: number) => string
  /** All pods of the cluster. */
  readonly cluster: string
}

export const SERVICE_RANGE = '10.96.0.0/16'
export const DNS_ADDRESS = '10.96.0.10'

/** How many clusters may run beside one another on a machine. */
const SLOTS = 32

const planOf = (slot: number): AddressPlan => ({
  slot,
  outside: (index) => `198.18.${slot * 4 + index}.1`,
  node: (index) => `198.18.${slot * 4 + index}.2`,
  pods: (index) => `198.19.${slot * 4 + index}.0/24`,
  cluster: `198.19.${slot * 4}.0/22`
})

const wireName = (slot: number, index: number) => `sluice${slot}n${index}`

/** Takes the first slot whose wire can be made: the kernel refuses a second one of the same name. */
async function claimSlot(first: NodeSpace): Promise<AddressPlan> {
  let refusal: unknown
  for (let slot = 0; slot < SLOTS; slot++) {
    try {
      await layWire(first, slot, 0)
      return planOf(slot)
    } catch (cause) {
      refusal = cause
    }
  }
  throw new Error(`no wire to ${first.name} could be made in ${SLOTS} tries`, { cause: refusal })
}

const ip = (command: string) => runProgram(['ip', ...command.split(' ')])
const ipIn = (space: NodeSpace, command: string) => space.run('ip', ...command.split(' '))

const layWire = (space: NodeSpace, slot: number, index: number) =>
  ip(`link add ${wireName(slot, index)} type veth peer name eth0 netns ${space.pid}`)

async function connectToOutside(space: NodeSpace, plan: AddressPlan, index: number): Promise<void> {
  const wire = wireName(plan.slot, index)
  await ip(`address add ${plan.outside(index)}/24 dev ${wire}`)
  await ip(`link set ${wire} up`)
  await ipIn(space, `address add ${plan.node(index)}/24 dev eth0`)
  await ipIn(space, 'link set eth0 up')
  await ipIn(space, `route add default via ${plan.outside(index)}`)
  // pods call and are called by their own addresses: nothing between here and them is translated
  await ip(`route add ${plan.pods(index)} via ${plan.node(index)}`)
}

async function connectToEachOther(one: NodeSpace, other: NodeSpace, plan: AddressPlan): Promise<void> {
  await ip(`link add eth1 netns ${one.pid} type veth peer name eth1 netns ${other.pid}`)
  for (const [space, here, there] of [
    [one, 0, 1],
    [other, 1, 0]
  ] as const) {
    await ipIn(space, 'link set eth1 up')
    await ipIn(space, `route add ${plan.node(there)}/32 dev eth1 src ${plan.node(here)}`)
    await ipIn(space, `route add ${plan.pods(there)} via ${plan.node(there)} dev eth1`)
  }
}

/** Connects two nodes with the test and with each other. The wires go when the nodes do. */
export async function connectNodes(one: NodeSpace, other: NodeSpace): Promise<AddressPlan> {
  const plan = await claimSlot(one)
  await layWire(other, plan.slot, 1)
  await connectToOutside(one, plan, 0)
  await connectToOutside(other, plan, 1)
  await connectToEachOther(one, other, plan)
  return plan
}
