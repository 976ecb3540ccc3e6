// Writes an environment's changes over a stack: objects field by field, models, regions and placements by their names.

/** What the items of a list are known by; every other list is replaced whole. */
const NAMED_LISTS = { models: 'name', regions: 'name', placements: 'model' } as const
type NamedList = keyof typeof NAMED_LISTS

/**
 * Objects of which one field excludes the others: a tag written over a branch would be both, and so would addresses over
 * the labels of pods, or a weight over a place.
 */
const WHOLE_OBJECTS = ['revision', 'ingressController', 'clients', 'prometheus', 'routing'] as const
type WholeObject = (typeof WHOLE_OBJECTS)[number]

/** One item of a named list: taken out, or changed. */
type Change<T, Name extends string> =
  | ({ readonly [K in Name]: string } & { readonly omit: true })
  | ({ readonly [K in Name]: string } & Overlay<Omit<T, Name>>)

/**
 * What may be written over `T`: any part of it. `null` removes a field, so that its default holds; `omit: true` takes a
 * model, a region or a placement out.
 */
export type Overlay<T> = {
  readonly [K in keyof T]?: K extends NamedList
    ? readonly Change<ItemOf<T[K]>, (typeof NAMED_LISTS)[K]>[]
    : NonNullable<T[K]> extends readonly unknown[]
      ? T[K]
      : K extends WholeObject
        ? T[K] | null
        : NonNullable<T[K]> extends object
          ? Overlay<NonNullable<T[K]>> | null
          : T[K] | null
}
type ItemOf<T> = NonNullable<T> extends readonly (infer Item)[] ? Item : never

type Fields = Readonly<Record<string, unknown>>

/** A changed stack, not parsed yet, and each change that has nothing to change. */
export interface Merged {
  readonly value: unknown
  readonly problems: readonly string[]
}

/** Writes `changes` over `base`; `path` is where the changes stand, for the problems. */
export function applyOverlay(base: unknown, changes: unknown, path: string): Merged {
  // Another `kind` is another shape: a claim's storage class means nothing to a host's disk.
  if (!isFields(base) || !isFields(changes) || isOtherKind(base, changes)) return { value: changes, problems: [] }
  const problems: string[] = []
  const value: Record<string, unknown> = { ...base }
  for (const [key, change] of Object.entries(changes)) {
    const at = `${path}.${key}`
    const merged = applyField(key, base[key], change, at)
    problems.push(...merged.problems)
    if (merged.value === null) delete value[key]
    else value[key] = merged.value
  }
  return { value, problems }
}

function applyField(key: string, base: unknown, change: unknown, path: string): Merged {
  if (isNamedList(key)) return applyList(base, change, path, key)
  const isWhole = WHOLE_OBJECTS.some((name) => name === key)
  return isWhole ? { value: change, problems: [] } : applyOverlay(base, change, path)
}

function applyList(base: unknown, changes: unknown, path: string, list: NamedList): Merged {
  if (!areFields(base) || !areFields(changes)) return { value: changes, problems: [] }
  const name = NAMED_LISTS[list]
  const problems = findUnmatched(base, changes, path, name)
  const items = base.flatMap((item): unknown[] => {
    const index = changes.findIndex((change) => change[name] === item[name])
    const change = changes[index]
    if (change === undefined) return [item]
    if (change.omit === true) return []
    const merged = applyOverlay(item, change, `${path}[${index}]`)
    problems.push(...merged.problems)
    return [merged.value]
  })
  return { value: items, problems }
}

function findUnmatched(base: readonly Fields[], changes: readonly Fields[], path: string, name: string): string[] {
  const known = base.map((item) => item[name])
  return changes.flatMap((change, index) => {
    const at = `${path}[${index}].${name}`
    if (!known.includes(change[name])) {
      return [`${at}: the stack has no ${String(change[name])} to change; it has ${known.join(', ')}`]
    }
    const first = changes.findIndex((other) => other[name] === change[name])
    if (first !== index) return [`${at}: ${change[name]} is changed by ${path}[${first}] already; write it once`]
    const lost = change.omit === true ? Object.keys(change).filter((key) => key !== name && key !== 'omit') : []
    return lost.length === 0 ? [] : [`${path}[${index}]: omit takes it out, so leave out ${lost.join(', ')}`]
  })
}

function isOtherKind(base: Fields, changes: Fields): boolean {
  return 'kind' in base && 'kind' in changes && base.kind !== changes.kind
}

function isNamedList(key: string): key is NamedList {
  return Object.hasOwn(NAMED_LISTS, key)
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function areFields(value: unknown): value is Fields[] {
  return Array.isArray(value) && value.every(isFields)
}
