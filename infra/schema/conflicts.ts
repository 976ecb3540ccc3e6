// Finds what two parts of a stack disagree on: equal names, and models that are placed but not there.

/** An object that nobody has checked yet. */
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
    ...regions.flatMap((region, index) => findPlacementProblems(region, `regions[${index}].placements`, models))
  ]
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
    const other = served.get(model.servedName)
    if (other !== undefined && other !== name) {
      problems.push(`${path}[${index}].model: ${name} and ${other} both serve ${model.servedName}; place one of them`)
    }
    served.set(model.servedName, name)
  }
  return problems
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

/** The objects of a list that may not be one; what is no object counts as an empty one. */
export function listOf(value: unknown, key: string): Fields[] {
  const list = isFields(value) ? value[key] : undefined
  return Array.isArray(list) ? list.map((item) => (isFields(item) ? item : {})) : []
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}
