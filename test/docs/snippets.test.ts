// What the pages show of a stack, written into the stack that is there: it must be taken as it stands.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { parseEnvironments, type StackInput } from '../../infra/schema.ts'
import { SECRETS, stack } from '../../infra/stack.ts'

type Region = StackInput['regions'][number]
type Shown = Partial<StackInput> & Partial<Region>

/** The fields of the only block of a page that begins so. */
function readSnippet(page: string, begin: string): Shown {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8')
  const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)
  const found = blocks.filter((code) => code.startsWith(begin))
  if (found.length !== 1) throw new Error(`${page} has ${found.length} blocks that begin with ${begin}`)
  const fields = (found[0] ?? '').replace(/^export const stack: StackInput = \{([\s\S]*)\}\n$/, '$1')
  // a value that kubeseal would print is too long for a page
  const code = `({ ${fields.replace("'AgB…'", `'${'Ag'.padEnd(400, 'B')}'`)} })`
  const { models, regions, gitops } = stack
  const names = { SECRETS, models, regions, gitops }
  return new Function(...Object.keys(names), `return ${code}`)(...Object.values(names))
}

/** The first region with what is shown, beside the others. */
function withRegion(shown: Partial<Region>): StackInput {
  const [first, ...others] = stack.regions as [Region, ...Region[]]
  return { ...stack, regions: [{ ...first, ...shown }, ...others] }
}

const { cluster, gateway } = stack.regions[0] as Region
const apis = cluster?.apis ?? []

it.each<[page: string, begin: string, write: (shown: Shown) => StackInput]>([
  ['operations.md', 'gitops: {', ({ gitops }) => ({ ...stack, ...(gitops && { gitops }) })],
  ['operations.md', 'export const stack', (shown) => ({ ...stack, ...shown })],
  [
    'ingress.md',
    'ingress: {',
    (shown) => withRegion({ ...shown, cluster: { ...cluster, apis: [...apis, 'gateway-api'] } })
  ],
  ['security.md', 'network: {', withRegion],
  ['security.md', 'podSecurityExceptions: [', withRegion],
  [
    'security.md',
    'cluster: {',
    (shown) => withRegion({ ...shown, cluster: { ...cluster, apis: [...apis, ...(shown.cluster?.apis ?? [])] } })
  ],
  ['streams.md', 'gateway: {', (shown) => withRegion({ gateway: { ...gateway, ...shown.gateway } })]
])('%s: a stack takes what begins with %s', (page, begin, write) => {
  expect(() => parseEnvironments(write(readSnippet(page, begin)))).not.toThrow()
})
