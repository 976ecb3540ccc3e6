// The engines of all pools as they are now, and the leases on them.
import type { Endpoint, Lease } from '../call.ts'
import { type Breaker, createBreaker } from './breaker.ts'
import { createLimit, type Limit } from './limit.ts'
import { type Candidate, countRoom, pickEngine } from './policy.ts'

export interface PoolDeps {
  readonly poolOf: (model: string) => string
  /** How many requests an engine of a pool gets at once. */
  readonly maxActiveOf: (pool: string) => number
  readonly now: () => number
  readonly random: () => number
  /** Starts to watch an engine's health; the returned function stops. */
  readonly watchHealth: (endpoint: Endpoint, onChange: (healthy: boolean) => void) => () => void
  /** An engine came, went, or changed its health. */
  readonly onChange: (endpoint: Endpoint, state: 'up' | 'down' | 'gone') => void
  /** Engines may take more again: one had refused a request as one too many, has rested, or lost a request to one that rests. */
  readonly onRoom: () => void
}

/** What is known of one engine, for readiness and metrics. */
export interface EngineState {
  readonly endpoint: Endpoint
  readonly healthy: boolean
  readonly inFlight: number
  /** How many requests it gets at once: as configured, or fewer where it has refused more or has just rested. */
  readonly maxActive: number
  readonly attempts: Readonly<Attempts>
}

/** How often an engine was asked since it came, by how it did. What says nothing of it, as a reader that left, is not counted. */
export interface Attempts {
  ok: number
  failed: number
  /** It refused a request as one too many. */
  full: number
}

export interface Pool {
  /** Leases the best engine for `model` that is not in `tried`; undefined when there is none. */
  lease(model: string, tried: readonly string[]): Lease | undefined
  /** Whether there is a healthy engine for `model` that is not in `tried`, be it full. */
  hasOther(model: string, tried: readonly string[]): boolean
  /** Replaces the engines of a pool. One that went takes no new request, and its open ones run on. */
  setEndpoints(pool: string, endpoints: readonly Endpoint[]): void
  /** How many engines of a pool are healthy. */
  healthyCount(pool: string): number
  /** How many more requests a pool's engines take at once. */
  room(pool: string): number
  /** How many requests of a pool are at an engine, those at engines that went among them. */
  inFlight(pool: string): number
  snapshot(): EngineState[]
  close(): void
}

/** What an address is busy with for a pool. An engine that went and is back still runs what it had, so the count outlives it. */
interface Load {
  inFlight: number
}

class Loads {
  readonly #byAddress = new Map<string, Load>()

  of({ pool, id }: Endpoint): Load {
    // an address may be another pool's tomorrow, and who waits there is not told when this one's requests end
    const key = `${pool} ${id}`
    const load = this.#byAddress.get(key) ?? { inFlight: 0 }
    this.#byAddress.set(key, load)
    return load
  }

  /** Forgets engines that have nothing left and are not among those that are there. */
  sweep(there: readonly Engine[]): void {
    const kept = new Set(there.map(({ load }) => load))
    for (const [key, load] of this.#byAddress) if (load.inFlight === 0 && !kept.has(load)) this.#byAddress.delete(key)
  }
}

class Engine implements Candidate {
  readonly endpoint: Endpoint
  readonly breaker: Breaker
  readonly limit: Limit
  readonly load: Load
  readonly attempts: Attempts = { ok: 0, failed: 0, full: 0 }
  healthy = false
  stopWatching = () => {}

  constructor(endpoint: Endpoint, breaker: Breaker, limit: Limit, load: Load) {
    this.endpoint = endpoint
    this.breaker = breaker
    this.limit = limit
    this.load = load
  }

  get id(): string {
    return this.endpoint.id
  }

  get inFlight(): number {
    return this.load.inFlight
  }

  get maxActive(): number {
    return this.limit.maxActive
  }

  get allowed(): boolean {
    return this.breaker.allowed
  }

  close(): void {
    this.stopWatching()
    this.breaker.stop()
    this.limit.stop()
    this.healthy = false
  }
}

/** Counts up now and down once, when disposed: at the engine, and in the whole pool. */
class EngineLease implements Lease {
  readonly #engine: Engine
  readonly #totals: Map<string, number>
  #held = true

  /** @param totals how many requests of each pool are at an engine, those at engines that went among them */
  constructor(engine: Engine, totals: Map<string, number>) {
    this.#engine = engine
    this.#totals = totals
    this.#count(1)
  }

  get endpoint(): Endpoint {
    return this.#engine.endpoint
  }

  report(result: 'ok' | 'failed'): void {
    this.#engine.attempts[result]++
    this.#engine.breaker.report(result)
  }

  /** An engine that has not eight places for one request may well have seven for others. */
  reportFull(places: number): void {
    this.#engine.attempts.full++
    const others = this.#engine.inFlight - 1
    this.#engine.limit.lower(others + places - 1)
  }

  [Symbol.dispose](): void {
    if (!this.#held) return
    this.#held = false
    this.#count(-1)
  }

  #count(by: 1 | -1): void {
    const { pool } = this.#engine.endpoint
    this.#engine.load.inFlight += by
    this.#totals.set(pool, (this.#totals.get(pool) ?? 0) + by)
  }
}

function createEngine(endpoint: Endpoint, load: Load, all: () => readonly Engine[], deps: PoolDeps): Engine {
  const limit = createLimit(deps.maxActiveOf(endpoint.pool), deps.onRoom)
  const breaker = createBreaker(deps.now, () => {
    // an engine that fails still must not get everybody who waits at once; without a better one there is nothing but to try
    if (all().some((other) => other !== engine && other.healthy && other.breaker.closed)) limit.lower(load.inFlight + 1)
    deps.onRoom()
  })
  const engine = new Engine(endpoint, breaker, limit, load)
  engine.stopWatching = deps.watchHealth(endpoint, (healthy) => {
    engine.healthy = healthy
    deps.onChange(endpoint, healthy ? 'up' : 'down')
  })
  return engine
}

function take(engine: Engine, totals: Map<string, number>, onRoom: () => void): Lease {
  const lease = new EngineLease(engine, totals)
  // nobody waits for a place at an engine that rests: the one that the request could have had elsewhere is free
  if (!engine.allowed) onRoom()
  return lease
}

export function createPool(deps: PoolDeps): Pool {
  const pools = new Map<string, readonly Engine[]>()
  const totals = new Map<string, number>()
  const loads = new Loads()
  const add = (endpoint: Endpoint) => createEngine(endpoint, loads.of(endpoint), () => enginesOf(endpoint.pool), deps)
  const remove = (engine: Engine) => {
    engine.close()
    deps.onChange(engine.endpoint, 'gone')
  }
  const all = () => [...pools.values()].flat()
  const enginesOf = (pool: string) => pools.get(pool) ?? []
  return {
    lease(model, tried) {
      const pool = deps.poolOf(model)
      const engine = pickEngine(enginesOf(pool), tried, deps.random)
      return engine && take(engine, totals, deps.onRoom)
    },
    hasOther: (model, tried) => enginesOf(deps.poolOf(model)).some(({ id, healthy }) => healthy && !tried.includes(id)),
    setEndpoints(pool, endpoints) {
      const before = new Map(enginesOf(pool).map((engine) => [engine.id, engine]))
      const after = new Map(endpoints.map((endpoint) => [endpoint.id, before.get(endpoint.id) ?? add(endpoint)]))
      pools.set(pool, [...after.values()])
      for (const [id, engine] of before) if (!after.has(id)) remove(engine)
      loads.sweep(all())
    },
    healthyCount: (pool) => enginesOf(pool).filter((engine) => engine.healthy).length,
    room: (pool) => countRoom(enginesOf(pool)),
    inFlight: (pool) => totals.get(pool) ?? 0,
    snapshot: all,
    close() {
      for (const engine of all()) engine.close()
    }
  }
}
