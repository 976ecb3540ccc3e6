// Holds the import law and the house rules: the real tree keeps them, and each rule is seen to fail on a made-up breach.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  checkCycles,
  checkForm,
  checkFunctions,
  checkImports,
  checkSingleUsers,
  readImports,
  type SourceFile
} from './helpers/architecture.ts'

const ROOT = new URL('../', import.meta.url)

function readTree(): SourceFile[] {
  return ['gateway', 'infra'].flatMap((folder) =>
    readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.[jt]s$/.test(path) && !path.includes('node_modules'))
      .map((path) => `${folder}/${path.replaceAll('\\', '/')}`)
      .map((path) => ({ path, text: readFileSync(new URL(path, ROOT), 'utf8') }))
  )
}

/** One made-up file. */
const file = (path: string, ...lines: string[]): SourceFile => ({ path, text: lines.join('\n') })

describe('the real tree', () => {
  const tree = readTree()

  it('is found at all', () => {
    expect(tree.map(({ path }) => path)).toContain('gateway/exchange.ts')
  })

  it('imports as the law has it', () => {
    expect(checkImports(tree)).toEqual([])
  })

  it('has no circle of imports', () => {
    expect(checkCycles(tree)).toEqual([])
  })

  it('leaves each guarded package and global to its one user', () => {
    expect(checkSingleUsers(tree)).toEqual([])
  })

  it('keeps the form of files', () => {
    expect(checkForm(tree)).toEqual([])
  })

  it('keeps functions short', () => {
    expect(checkFunctions(tree)).toEqual([])
  })
})

describe('reading imports', () => {
  const read = (...lines: string[]) => readImports(file('gateway/stream/a.ts', ...lines))

  it.each([
    ["import { b } from './b.ts'", { target: 'gateway/stream/b.ts', typeOnly: false }],
    ["import type { B } from '../call.ts'", { target: 'gateway/call.ts', typeOnly: true }],
    ["import { type B, type C } from '../call.ts'", { target: 'gateway/call.ts', typeOnly: true }],
    ["import { type B, c } from '../call.ts'", { target: 'gateway/call.ts', typeOnly: false }],
    ["import {\n  type B,\n  c\n} from './b.ts'", { target: 'gateway/stream/b.ts', typeOnly: false }],
    ["import * as b from './b.ts'", { target: 'gateway/stream/b.ts', typeOnly: false }],
    ["import b, { type C } from './b.ts'", { target: 'gateway/stream/b.ts', typeOnly: false }],
    ["import './b.ts'", { target: 'gateway/stream/b.ts', typeOnly: false }],
    ["export { b } from './b.ts'", { target: 'gateway/stream/b.ts', typeOnly: false }],
    ["export type { B } from './b.ts'", { target: 'gateway/stream/b.ts', typeOnly: true }],
    ["export * from './b.ts'", { target: 'gateway/stream/b.ts', typeOnly: false }],
    ["const b = await import('./b.ts')", { target: 'gateway/stream/b.ts', typeOnly: false }],
    ["import { Pool } from 'undici'", { target: 'undici', typeOnly: false }]
  ])('understands %j', (line, expected) => {
    expect(read(line)).toEqual([expected])
  })

  it('does not take an example in a comment or in a text for an import', () => {
    expect(read("// import { b } from './b.ts'", 'const page = `', "  import OpenAI from 'openai'", '`')).toEqual([])
  })
})

describe('the import law', () => {
  it.each([
    ['gateway/errors.ts', 'gateway/config.ts'],
    ['gateway/sim/pace.ts', 'gateway/sim/engine.ts'],
    ['gateway/config.ts', 'gateway/telemetry/log.ts'],
    ['gateway/telemetry/log.ts', 'gateway/stream/meter.ts'],
    ['gateway/stream/relay.ts', 'gateway/telemetry/log.ts'],
    ['gateway/stream/relay.ts', 'gateway/upstream/pool.ts'],
    ['gateway/admission/queue.ts', 'gateway/exchange.ts'],
    ['gateway/exchange.ts', 'gateway/routes/openai.ts'],
    ['gateway/routes/openai.ts', 'gateway/admission/queue.ts'],
    ['gateway/routes/openai.ts', 'gateway/stream/relay.ts'],
    ['gateway/routes/openai.ts', 'gateway/config.ts'],
    ['gateway/routes/openai.ts', 'gateway/server.ts'],
    ['gateway/app.ts', 'gateway/main.ts'],
    ['gateway/app.ts', 'gateway/sim/engine.ts'],
    ['gateway/main.ts', 'gateway/sim/engine.ts'],
    ['gateway/stream/relay.ts', 'gateway/sim/pace.ts'],
    ['gateway/sim/engine.ts', 'gateway/stream/relay.ts'],
    ['gateway/sim/engine.ts', 'gateway/config.ts'],
    ['gateway/exchange.ts', 'infra/lib/names.ts'],
    ['gateway/console/run.js', 'gateway/errors.ts'],
    ['gateway/routes/console.ts', 'gateway/console/run.js'],
    ['infra/lib/names.ts', 'infra/constructs/gateway.ts'],
    ['infra/constructs/gateway.ts', 'infra/charts/regional-endpoint.ts'],
    ['infra/charts/regional-endpoint.ts', 'infra/stack.ts'],
    ['infra/charts/regional-endpoint.ts', 'infra/main.ts'],
    ['infra/stack.ts', 'infra/constructs/gateway.ts'],
    ['infra/schema.ts', 'infra/stack.ts'],
    ['infra/constructs/gateway.ts', 'gateway/time-budget.ts'],
    ['infra/main.ts', 'gateway/config.ts'],
    ['gateway/exchange.ts', 'test/helpers/fakes.ts']
  ])('forbids %s the values of %s', (from, to) => {
    const line = `import { x } from '${from.replace(/[^/]+/g, '..').slice(3)}/${to}'`
    expect(checkImports([file(from, line)])).toEqual([expect.stringContaining(`must not import values of ${to}`)])
  })

  it('says who imports what, and their ranks', () => {
    const broken = file('gateway/stream/relay.ts', "import { createPool } from '../upstream/pool.ts'")
    const allowed = file('gateway/app.ts', "import { createPool } from './upstream/pool.ts'")
    // the same rank, another folder: the room alone does not allow it
    expect(checkImports([broken, allowed])).toEqual([
      'gateway/stream/relay.ts (rank 2) must not import values of gateway/upstream/pool.ts (rank 2)'
    ])
  })

  it('forbids even the types of a sibling folder', () => {
    const broken = file('gateway/stream/relay.ts', "import type { Pool } from '../upstream/pool.ts'")
    expect(checkImports([broken])).toEqual([
      expect.stringContaining('must not import types of gateway/upstream/pool.ts')
    ])
  })

  it.each([
    ['gateway/stream/relay.ts', 'gateway/telemetry/log.ts'],
    ['gateway/routes/openai.ts', 'gateway/admission/catalog.ts']
  ])('allows %s the types of %s', (from, to) => {
    expect(checkImports([file(from, `import type { X } from '../../${to}'`)])).toEqual([])
  })

  it.each([
    ['gateway/routes/openai.ts', 'gateway/stream/sinks.ts'],
    ['gateway/routes/openai.ts', 'gateway/routes/json-body.ts'],
    ['gateway/cli/up.ts', 'gateway/sim/engine.ts'],
    ['gateway/cli/up.ts', 'infra/main.ts'],
    ['gateway/sim/engine.ts', 'gateway/stream/sse.ts'],
    ['infra/charts/region.ts', 'gateway/contract.ts']
  ])('allows %s the values of %s', (from, to) => {
    expect(checkImports([file(from, `import { x } from '../../${to}'`)])).toEqual([])
  })

  it('wants a place for every file', () => {
    expect(checkImports([file('gateway/manager.ts')])).toEqual(['gateway/manager.ts has no rank in the import law'])
  })
})

describe('the other rules', () => {
  it('see a circle, type imports included', () => {
    const circle = [
      file('gateway/stream/a.ts', "import { b } from './b.ts'"),
      file('gateway/stream/b.ts', "import { c } from './c.ts'"),
      file('gateway/stream/c.ts', "import type { A } from './a.ts'")
    ]
    expect(checkCycles(circle)).toEqual([
      'imports run in a circle: gateway/stream/a.ts -> gateway/stream/b.ts -> gateway/stream/c.ts -> gateway/stream/a.ts'
    ])
  })

  it.each([
    ['gateway/upstream/pool.ts', "import { Pool } from 'undici'", 'must not import undici'],
    ['gateway/app.ts', "import { Registry } from 'prom-client'", 'must not import prom-client'],
    ['gateway/stream/sinks.ts', "import type { WebSocket } from 'ws'", 'must not import ws'],
    ['gateway/app.ts', 'const port = process.env.PORT', 'must not use process.env'],
    ['gateway/stream/watch.ts', 'const at = Date.now()', 'must not use Date.now'],
    ['infra/lib/names.ts', 'const id = Math.random()', 'must not use Math.random']
  ])('see in %s the line %j', (path, line, problem) => {
    expect(checkSingleUsers([file(path, line)])).toEqual([`${path} ${problem}`])
  })

  it.each([
    ['gateway/stream/a.ts', ['// Moves bytes.', ...Array<string>(300).fill('x')], 'has 301 lines, more than 300'],
    ['gateway/stream/a.ts', ['import x'], 'does not begin with a // sentence that ends with a period'],
    ['gateway/stream/a.ts', ['// no period'], 'does not begin with a // sentence that ends with a period'],
    ['gateway/stream/a.ts', ['// Colours.', 'export enum Colour { red }'], 'has an enum'],
    ['gateway/stream/index.ts', ['// All of it.'], 'is a barrel'],
    ['gateway/stream/utils.ts', ['// Things.'], 'has a name that says nothing'],
    ['gateway/common/bytes.ts', ['// Things.'], 'has a name that says nothing']
  ])('see the form of %s (%#)', (path, lines, problem) => {
    expect(checkForm([file(path, ...lines)])).toEqual([`${path} ${problem}`])
  })

  it.each([
    ['function a() {', '}'],
    ['  async method(x: string): Promise<void> {', '  }'],
    ['  [Symbol.dispose](): void {', '  }'],
    ['const a = (x: number) => {', '}'],
    ['): Outcome {', '}'],
    ['    onError(cause) {', '    },']
  ])('see that the function %j is too long', (head, tail) => {
    const body = (lines: number) => file('gateway/a.ts', head, ...Array<string>(lines).fill(`${' '.repeat(8)}x`), tail)
    expect([...checkFunctions([body(40)]), ...checkFunctions([body(41)])]).toEqual([
      `gateway/a.ts:1 has a function whose body has 41 lines, more than 40: ${head.trim()}`
    ])
  })
})
