// Finds what two parts of a stack disagree on: equal names, models that are placed but not there, and hosts that are shared.
import { findSharedHostConflicts } from './shared-host.ts'

/** An object whose fields are not looked at yet. */
export type Fields = Readonly<Record<string, unknown>>

/**
 * Compares names over a stack that may be wrong elsewhere, so one run shows every problem: what is no string is left to
 * the schema.
 */
export function findConflicts(stack: unknown): string[] {
  const models = listOf(stack, 'models')
  const regions = listOf(stack, 'regions')
  return [
    ...findRepeated(models, 'models', 'name'),
    ...findRepeated(regions, 'regions', 'name'),
    ...findRepeated(regions, 'regions', 'namespace'),
    ...findRepeatedRecords(regions),
    ...findTakenByGroups(models),
    ...models.flatMap((model, index) => findRepeatedAdapters(model, `models[${index}]`)),
    ...findSharedHostConflicts(regions),
    ...regions.flatMap((region, index) => findPlacementProblems(region, `regions[${index}].placements`, models))
  ]
}

function findRepeatedAdapters(model: Fields, path: string): string[] {
  const adapters = listOf(model, 'adapters')
  const shadowing = adapters.flatMap(({ name }, index) =>
    typeof name === 'string' && name === model.servedName
      ? [`${path}.adapters[${index}].name: ${name} is the model's own servedName; names are unique`]
      : []
  )
  return [...findRepeated(adapters, `${path}.adapters`, 'name'), ...shadowing]
}

/** An engine on several nodes has a set of pods and a Service beside its own, named after it. */
function findTakenByGroups(models: readonly Fields[]): string[] {
  const groups = models.filter(({ name, nodes }) => typeof name === 'string' && typeof nodes === 'number' && nodes > 1)
  const owners = new Map(groups.flatMap(({ name }) => ['lws', 'worker'].map((part) => [`${name}-${part}`, name])))
  return models.flatMap(({ name }, index) =>
    typeof name === 'string' && owners.has(name)
      ? [`models[${index}].name: ${name} is what ${owners.get(name)} calls a part of its engines; choose another name`]
      : []
  )
}

/**
 * Hosts whose record two regions make: the external-dns of each would take the other's for a stranger's. A host that
 * somebody else leads to several regions may stand in all of them, without `dns`.
 */
function findRepeatedRecords(regions: readonly Fields[]): string[] {
  const owners = new Map<unknown, number>()
  return regions.flatMap(({ ingress }, index) => {
    if (!isFields(ingress) || ingress.dns === undefined || typeof ingress.host !== 'string') return []
    const owner = owners.get(ingress.host)
    owners.set(ingress.host, owner ?? index)
    if (owner === undefined) return []
    return [
      `regions[${index}].ingress.host: regions[${owner}] makes the record of ${ingress.host} already; give each region a host, and share one by sharedHost`
    ]
  })
}

function findPlacementProblems(region: Fields, path: string, models: readonly Fields[]): string[] {
  const placements = listOf(region, 'placements')
  const byName = new Map(models.map((model) => [model.name, model]))
  const served = new Map<unknown, unknown>()
  const problems = findRepeated(placements, path, 'model')
  for (const [index, { model: name }] of placements.entries()) {
    if (typeof name !== 'string') continue
    const model = byName.get(name)
    if (model === undefined) {
      problems.push(
        `${path}[${index}].model: there is no model ${name}; the stack has ${[...byName.keys()].join(', ')}`
      )
      continue
    }
    for (const servedName of servedNamesOf(model)) {
      const other = served.get(servedName)
      if (other !== undefined && other !== name) {
        problems.push(`${path}[${index}].model: ${name} and ${other} both serve ${servedName}; place one of them`)
      }
      served.set(servedName, name)
    }
  }
  return problems
}

/** What clients may call a model: its own name, and those of its adapters. */
function servedNamesOf(model: Fields): unknown[] {
  return [model.servedName, ...listOf(model, 'adapters').map(({ name }) => name)]
}

function findRepeated(items: readonly Fields[], path: string, field: string): string[] {
  const first = new Map<unknown, number>()
  return items.flatMap((item, index) => {
    const value = item[field]
    if (typeof value !== 'string') return []
    const earlier = first.get(value)
    if (earlier === undefined) {
      first.set(value, index)
      return []
    }
    return [`${path}[${index}].${field}: ${value} is taken by ${path}[${earlier}]; names are unique`]
  })
}

/** The list in a field, each item an object; empty when there is none. */
export function listOf(value: unknown, key: string): Fields[] {
  const list = isFields(value) ? value[key] : undefined
  return Array.isArray(list) ? list.map((item) => (isFields(item) ? item : {})) : []
}

/** Whether a value has fields at all. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}
