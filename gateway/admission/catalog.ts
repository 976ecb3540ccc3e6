// Which models there are, and which of them a key may see and use.
import type { Principal } from '../call.ts'
import type { Config, ModelConfig } from '../contract.ts'

/** A model and the pool that serves it. */
export interface CatalogEntry {
  readonly model: ModelConfig
  readonly pool: string
}

export interface Catalog {
  /** The model by name, or undefined where it does not exist or the principal may not use it: no way to tell which. */
  find(principal: Principal, name: string): CatalogEntry | undefined
  /** Every model that the principal may use, in the order of the configuration. */
  list(principal: Principal): CatalogEntry[]
  /** The pool of a model that exists. */
  poolOf(name: string): string
}

export function createCatalog(pools: Config['pools']): Catalog {
  const entries = new Map<string, CatalogEntry>()
  for (const pool of pools) for (const model of pool.models) entries.set(model.name, { model, pool: pool.name })
  const mayUse = (principal: Principal, { model }: CatalogEntry) =>
    principal.models === 'unrestricted' ? !model.restricted : principal.models.includes(model.name)
  return {
    find(principal, name) {
      const entry = entries.get(name)
      return entry !== undefined && mayUse(principal, entry) ? entry : undefined
    },
    list: (principal) => [...entries.values()].filter((entry) => mayUse(principal, entry)),
    poolOf(name) {
      const entry = entries.get(name)
      if (entry === undefined) throw new Error(`no pool has the model ${name}`)
      return entry.pool
    }
  }
}
