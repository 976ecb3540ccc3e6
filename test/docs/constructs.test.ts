// docs/constructs.md is what its generator makes of the docstrings, and no property of a construct is without one.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Declaration, readDeclarations } from '../../docs/generator/declarations.ts'
import { collectMembers, renderReference } from '../../docs/generator/reference.ts'
import { readModules } from '../../docs/generator/sources.ts'

const page = new URL('../../docs/constructs.md', import.meta.url)
const modules = readModules()
const declarations = modules.flatMap((module) => module.declarations)
const read = (...lines: string[]) => readDeclarations(lines.join('\n'), 'constructs/a')

/** What is missing of the docstrings of properties. */
function findUndocumented(all: readonly Declaration[]): string[] {
  const props = all.filter(({ kind, name }) => kind === 'interface' && name.endsWith('Props'))
  return props.flatMap(({ name, members, module }) =>
    members.flatMap((member) => {
      const problems = [
        ...(member.doc.text === '' ? ['says nothing of itself'] : []),
        ...(member.optional && member.doc.defaultValue === undefined ? ['is optional and has no @default'] : []),
        ...(!member.optional && member.doc.defaultValue !== undefined ? ['is required and has a @default'] : [])
      ]
      return problems.map((problem) => `${module}: ${name}.${member.name} ${problem}`)
    })
  )
}

describe('docs/constructs.md', () => {
  it('is what `npm run docs` writes', () => {
    expect(readFileSync(page, 'utf8'), 'run npm run docs, and commit the page').toBe(renderReference(modules))
  })

  it('finds every construct that is exported', () => {
    const names = declarations.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['VllmDeployment', 'Gateway', 'RegionalEndpoint', 'VllmSettings']))
    expect(names).not.toContain('RenderedFile')
  })

  it('documents each property, and the default of each that may be left out', () => {
    expect(findUndocumented(declarations)).toEqual([])
  })
})

describe('the check of properties', () => {
  it('fails for one without a sentence, and for an optional one without a default', () => {
    const found = findUndocumented(
      read('export interface AProps {', '  readonly a: string', '  /** B. */', '  readonly b?: string', '}')
    )
    expect(found).toEqual([
      'constructs/a: AProps.a says nothing of itself',
      'constructs/a: AProps.b is optional and has no @default'
    ])
  })
})

describe('readDeclarations', () => {
  it('reads docstrings of several lines, defaults, and types of several lines', () => {
    const [a, ...others] = read(
      '/**',
      ' * What A is.',
      ' * And more.',
      ' */',
      "export interface A extends Pick<B, 'x' | 'y'>, C {",
      '  /**',
      '   * Seconds',
      '   * of b. @default 2, or 8',
      '   */',
      '  readonly b?: {',
      '    readonly c: string',
      '  }',
      '  readonly d: readonly string[]',
      '  /** Renders. */',
      '  render(limits: D): string[]',
      '}'
    )
    expect(others).toEqual([])
    expect(a).toMatchObject({ name: 'A', kind: 'interface', bases: ["Pick<B, 'x' | 'y'>", 'C'] })
    expect(a?.doc.text).toBe('What A is. And more.')
    expect(a?.members).toEqual([
      {
        name: 'b',
        signature: '{ readonly c: string }',
        optional: true,
        kind: 'property',
        doc: { text: 'Seconds of b.', defaultValue: '2, or 8' }
      },
      { name: 'd', signature: 'readonly string[]', optional: false, kind: 'property', doc: { text: '' } },
      {
        name: 'render',
        signature: '(limits: D) => string[]',
        optional: false,
        kind: 'method',
        doc: { text: 'Renders.' }
      }
    ])
  })

  it('reads the attributes and static factories of a class, and leaves constructor and private parts out', () => {
    const [a] = read(
      'export class A extends Construct implements I {',
      '  /** The port. */',
      '  readonly port: number = 80',
      '  readonly #secret: number = 1',
      '',
      '  /** One by its name. */',
      '  static fromName(name: string): I {',
      '    return { name }',
      '  }',
      '',
      '  constructor(scope: Construct, id: string) {',
      '    super(scope, id)',
      '  }',
      '}'
    )
    expect(a?.members.map(({ kind, name, signature }) => [kind, name, signature])).toEqual([
      ['property', 'port', 'number'],
      ['static', 'fromName', '(name: string) => I']
    ])
  })

  it('leaves alone what is not exported, and what is in a comment', () => {
    expect(read('interface A {', '  readonly b: string', '}', '// export class B {')).toEqual([])
  })

  it('lets an interface show what it inherits, its own first where both have it', () => {
    const all = read(
      'export interface A {',
      '  /** Of A. */',
      '  readonly b: string',
      '  readonly c: string',
      '}',
      'export interface B extends A {',
      '  /** Of B. */',
      '  readonly b: string',
      '}'
    )
    const members = collectMembers(all[1] as Declaration, new Map(all.map((one) => [one.name, one])))
    expect(members.map(({ name, doc }) => [name, doc.text])).toEqual([
      ['c', ''],
      ['b', 'Of B.']
    ])
  })
})
