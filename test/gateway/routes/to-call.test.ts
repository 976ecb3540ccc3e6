// What a call is to an engine and to its reader, by what the client sent.
import { expect, it } from 'vitest'
import { createCatalog } from '../../../gateway/admission/catalog.ts'
import { configSchema } from '../../../gateway/contract.ts'
import { type EnginePath, TASKS } from '../../../gateway/engine-routes.ts'
import { toCall } from '../../../gateway/routes/to-call.ts'

const models = [{ name: 'm', tasks: TASKS }]
const { pools } = configSchema.parse({ pools: [{ name: 'main', models, engines: { urls: ['http://127.0.0.1:1'] } }] })
const options = { catalog: createCatalog(pools), countUsage: true }
const principal = { keyId: 'k', maxOutputTokens: undefined, models: 'unrestricted' } as const

const callOf = (path: EnginePath, fields: object) =>
  toCall(
    {
      id: 'r',
      path,
      headers: {},
      principal,
      acceptedAtMs: 0,
      body: Buffer.from(JSON.stringify({ model: 'm', ...fields }))
    },
    options
  )

it.each([
  ['answers that are not shown', '/v1/completions', { prompt: ['a', 'b'], best_of: 3 }, 2, 6],
  ['inputs, though it has one answer', '/v1/embeddings', { input: ['a', 'b', 'c'] }, 1, 3]
] as const)('counts %s as places at an engine', (_what, path, fields, choices, places) => {
  expect(callOf(path, fields)).toMatchObject({ choices, places })
})
