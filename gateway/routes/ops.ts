// The routes of whoever runs the gateway: is it alive, may it get work, what does it measure. They want no key.
import type { FastifyInstance } from 'fastify'
import { PATHS } from '../contract.ts'

/** Whether the gateway may get work, and if not, why. */
export interface Readiness {
  readonly ready: boolean
  /** One line for each thing that is missing. */
  readonly reasons: readonly string[]
}

export interface OpsDeps {
  readonly readiness: () => Readiness
  readonly metrics: { readonly contentType: string; render(): Promise<string> }
}

export function registerOpsRoutes(app: FastifyInstance, deps: OpsDeps): void {
  app.get(PATHS.health, async () => ({ status: 'ok' }))
  app.get(PATHS.ready, async (_request, reply) => {
    const readiness = deps.readiness()
    return reply.code(readiness.ready ? 200 : 503).send(readiness)
  })
  app.get(PATHS.metrics, async (_request, reply) =>
    reply.type(deps.metrics.contentType).send(await deps.metrics.render())
  )
}
