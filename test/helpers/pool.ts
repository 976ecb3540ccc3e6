// A pool of engines whose health is told by the test, and what it tells of them.
import type { Endpoint, Lease } from '../../gateway/call.ts'
import { createPool } from '../../gateway/upstream/pool.ts'

export const endpoint = (id: string, pool = 'main'): Endpoint => ({
  id,
  origin: `http://${id}`,
  pool,
  engineKey: undefined
})

/** Two engines, a and b, both healthy; `mark` is what a health probe would tell. */
export function startPool(ids: readonly string[] = ['a', 'b']) {
  const marks = new Map<string, (healthy: boolean) => void>()
  const stopped: string[] = []
  const changes: string[] = []
  const clock = { nowMs: 0 }
  const pool = createPool({
    poolOf: (model) => (model === 'm' ? 'main' : model),
    maxActiveOf: () => 100,
    now: () => clock.nowMs,
    random: () => 0,
    watchHealth: ({ id }, onChange) => {
      marks.set(id, onChange)
      return () => void stopped.push(id)
    },
    onChange: ({ id }, state) => void changes.push(`${id} ${state}`),
    onRoom: () => void changes.push('room')
  })
  pool.setEndpoints(
    'main',
    ids.map((id) => endpoint(id))
  )
  const mark = (id: string, healthy: boolean) => marks.get(id)?.(healthy)
  for (const id of ids) mark(id, true)
  const inFlight = () => Object.fromEntries(pool.snapshot().map((engine) => [engine.endpoint.id, engine.inFlight]))
  return { pool, mark, stopped, changes, clock, inFlight }
}

export const idOf = (lease: Lease | undefined) => lease?.endpoint.id
