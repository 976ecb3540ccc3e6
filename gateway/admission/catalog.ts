// Which models there are, and which of them a key may see and use.
import type { Principal } from '../call.ts'
import type { Config, ModelConfig } from '../contract.ts'
import { GatewayError } from '../errors.ts'

/** A model and the pool that serves it. */
export interface CatalogEntry {
  readonly model: ModelConfig
  readonly pool: string
}

export interface Catalog {
  /** The model by name. Throws `model_not_found` where it does not exist or the principal may not use it: no way to tell which. */
  get(principal: Principal, name: string): CatalogEntry
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
    get(principal, name) {
      const entry = entries.get(name)
      if (entry === undefined || !mayUse(principal, entry))
        throw new GatewayError('model_not_found', { param: 'model' })
      return entry
    },
    list: (principal) => [...entries.values()].filter((entry) => mayUse(principal, entry)),
    poolOf(name) {
      const entry = entries.get(name)
      if (entry === undefined) throw new Error(`no pool has the model ${name}`)
      return entry.pool
    }
  }
}
