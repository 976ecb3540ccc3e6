// Models for each task of a gateway under test, all served by its simulated engines.
import { MODEL, SECRET_MODEL, type TestOptions } from './gateway.ts'

export const EMBEDDER = 'embedder'
export const RANKER = 'ranker'
export const LISTENER = 'listener'

/** A pool whose engines serve one model for each task. */
export function withTasks(options: TestOptions = {}): TestOptions {
  const served = [MODEL, SECRET_MODEL, EMBEDDER, RANKER, LISTENER]
  return {
    ...options,
    engines: (options.engines ?? [{}]).map((engine) => ({ models: served, ...engine })),
    pool: {
      models: [
        { name: MODEL, maxOutputTokens: 100_000 },
        { name: SECRET_MODEL, restricted: true },
        { name: EMBEDDER, tasks: ['embed'] },
        { name: RANKER, tasks: ['score'] },
        { name: LISTENER, tasks: ['transcribe'], maxOutputTokens: 300 }
      ],
      ...options.pool
    }
  }
}
