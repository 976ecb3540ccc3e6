// Reads the exported interfaces and classes of a source, with their docstrings, from code that biome has formatted.

/** What a docstring says: its sentences, and what stands after `@default`. */
export interface Docstring {
  readonly text: string
  readonly defaultValue?: string
}

/** A property, an attribute or a method; `signature` is its type, or its parameters and result. */
export interface Member {
  readonly name: string
  readonly signature: string
  readonly optional: boolean
  readonly kind: 'property' | 'method' | 'static'
  readonly doc: Docstring
}

export interface Declaration {
  readonly kind: 'interface' | 'class'
  readonly name: string
  /** The types after `extends`, as they are written. */
  readonly bases: readonly string[]
  readonly doc: Docstring
  readonly members: readonly Member[]
  /** The module that it is imported from, relative to `infra/`, without an ending. */
  readonly module: string
}

const DECLARATION = /^export (interface|class) (\w+)(?: extends (.+?))?(?: implements .+?)? \{(\})?$/
const PROPERTY = /^readonly (\w+)(\??): (.+)$/
const METHOD = /^(static )?(\w+)\((.*)\): (.+)$/
const NO_DOC: Docstring = { text: '' }

/** Every exported interface and class of `text`, in its order. TypeScript 7 has no stable API to read them with. */
export function readDeclarations(text: string, module: string): Declaration[] {
  const lines = text.split('\n')
  return lines.flatMap((line, at): Declaration[] => {
    const [, kind, name, bases, closed] = DECLARATION.exec(line) ?? []
    if (kind === undefined || name === undefined) return []
    const length = closed === undefined ? lines.slice(at + 1).indexOf('}') : 0
    return [
      {
        kind: kind === 'class' ? 'class' : 'interface',
        name,
        bases: readBases(bases),
        doc: readDocAbove(lines, at),
        members: readMembers(lines.slice(at + 1, at + 1 + length)),
        module
      }
    ]
  })
}

function readBases(text: string | undefined): string[] {
  // A comma inside of type arguments separates no bases.
  return text === undefined ? [] : text.split(/, (?![^<]*>)/)
}

/** Members stand two columns in; what is further in belongs to the one above. */
function readMembers(lines: readonly string[]): Member[] {
  return lines.flatMap((line, at): Member[] => {
    if (!/^ {2}(readonly|static|\w+\()/.test(line) || line.startsWith('  constructor(')) return []
    const rest = lines.slice(at + 1)
    const isBody = line.endsWith(') {') || line.endsWith(' {')
    const end = rest.findIndex((next) => !/^ {3,}|^ {2}[}\])]/.test(next))
    const more =
      isBody && METHOD.test(line.trim().replace(/ \{$/, '')) ? [] : rest.slice(0, end === -1 ? rest.length : end)
    const member = readMember([line, ...more].map((part) => part.trim()).join(' '), readDocAbove(lines, at))
    return member === undefined ? [] : [member]
  })
}

function readMember(code: string, doc: Docstring): Member | undefined {
  const property = PROPERTY.exec(code)
  if (property !== null) {
    const [, name = '', optional, signature = ''] = property
    return { name, signature: signature.replace(/ = .*$/, ''), optional: optional === '?', kind: 'property', doc }
  }
  const [, isStatic, name, parameters, result] = METHOD.exec(code.replace(/ \{.*$/, '')) ?? []
  if (name === undefined) return undefined
  const signature = `(${parameters}) => ${result}`
  return { name, signature, optional: false, kind: isStatic === undefined ? 'method' : 'static', doc }
}

function readDocAbove(lines: readonly string[], at: number): Docstring {
  const end = at - 1
  if (!lines[end]?.trimEnd().endsWith('*/')) return NO_DOC
  const start = lines.slice(0, at).findLastIndex((line) => line.trimStart().startsWith('/**'))
  const text = lines
    .slice(start, at)
    .map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*)?\s?/, '').replace(/\s*\*\/$/, ''))
    .join(' ')
    .trim()
  const [sentences = '', defaultValue] = text.split(/\s*@default\s+/)
  return { text: sentences.replace(/\s+/g, ' '), ...(defaultValue === undefined ? {} : { defaultValue }) }
}
