// The import law and the house rules of the sources as pure functions: from files to sentences that say what is wrong.
import { posix } from 'node:path'

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string
  readonly text: string
}

export interface ImportLine {
  /** A path from the root for a file of the repository, or else the name of a package. */
  readonly target: string
  /** Every imported name is a type. */
  readonly typeOnly: boolean
}

const STATIC =
  /^(?:import\s+(type\s+)?([\w$*\s{},]+?)\s+from|export\s+(type\s+)?(\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from|import)\s+'([^']+)'/gm
const DYNAMIC = /\bimport\(\s*'([^']+)'/g

/** The code of a file: the lines that are comments as a whole are left out. */
const codeOf = (text: string) => text.replace(/^\s*(?:\/\/|\/\*|\*).*$/gm, '')

function areAllTypes(names: string | undefined): boolean {
  const list = /^\{([^}]*)\}$/.exec(names?.trim() ?? '')?.[1]
  const parts = (list ?? '').split(',').map((part) => part.trim())
  return list !== undefined && parts.filter(Boolean).every((part) => part.startsWith('type '))
}

/** What a file imports or exports from elsewhere. */
export function readImports(file: SourceFile): ImportLine[] {
  const code = codeOf(file.text)
  const resolve = (name: string) => (name.startsWith('.') ? posix.join(posix.dirname(file.path), name) : name)
  const fixed = [...code.matchAll(STATIC)].map((match) => ({
    target: resolve(match[5] ?? ''),
    typeOnly: (match[1] ?? match[3]) !== undefined || areAllTypes(match[2] ?? match[4])
  }))
  const dynamic = [...code.matchAll(DYNAMIC)].map((match) => ({ target: resolve(match[1] ?? ''), typeOnly: false }))
  return [...fixed, ...dynamic]
}

const RANK_0 = new Set(
  [
    'contract',
    'engine-routes',
    'time-budget',
    'stream-limits',
    'key-schema',
    'call',
    'errors',
    'error-shapes',
    'json-mistake',
    'field-lines',
    'slices',
    'sim/pace'
  ].map((name) => `gateway/${name}.ts`)
)

/** A room is what the law speaks of: a rank of the gateway, or a floor of infra. */
export type Room =
  | 'rank 0'
  | 'rank 1'
  | 'rank 2'
  | 'rank 3'
  | 'rank 4'
  | 'rank 5'
  | 'rank 6'
  | 'sim'
  | 'console'
  | 'infra main'
  | 'infra stack'
  | 'infra schema'
  | 'infra charts'
  | 'infra constructs'
  | 'infra lib'

const ROOMS: readonly (readonly [RegExp, Room])[] = [
  [/^gateway\/(config\.ts|telemetry\/)/, 'rank 1'],
  [/^gateway\/(admission|upstream|stream)\//, 'rank 2'],
  [/^gateway\/exchange\.ts$/, 'rank 3'],
  [/^gateway\/(front|routes)\//, 'rank 4'],
  [/^gateway\/(app|clients|journal-states|server|cors|drain)\.ts$/, 'rank 5'],
  [/^gateway\/(main\.ts$|cli\/)/, 'rank 6'],
  [/^gateway\/sim\//, 'sim'],
  [/^gateway\/console\//, 'console'],
  [/^infra\/(main|diff|prune)\.ts$/, 'infra main'],
  [/^infra\/stack\.ts$/, 'infra stack'],
  [/^infra\/schema(\.ts$|\/)/, 'infra schema'],
  [/^infra\/charts\//, 'infra charts'],
  [/^infra\/constructs\//, 'infra constructs'],
  [/^infra\/lib\//, 'infra lib']
]

/** The room of a file; undefined for one that the law does not know. */
export function roomOf(path: string): Room | undefined {
  if (RANK_0.has(path)) return 'rank 0'
  return ROOMS.find(([pattern]) => pattern.test(path))?.[1]
}

/** What each room may import: rooms whole, and rooms for their types only. Its own folder is settled apart. */
const LAW: Record<Room, { readonly values: readonly Room[]; readonly types?: readonly Room[] }> = {
  'rank 0': { values: ['rank 0'] },
  'rank 1': { values: ['rank 0'] },
  'rank 2': { values: ['rank 0'], types: ['rank 1'] },
  'rank 3': { values: ['rank 0', 'rank 1', 'rank 2'] },
  'rank 4': { values: ['rank 0', 'rank 3'], types: ['rank 2'] },
  'rank 5': { values: ['rank 0', 'rank 1', 'rank 2', 'rank 3', 'rank 4', 'rank 5'] },
  'rank 6': {
    values: ['rank 0', 'rank 1', 'rank 2', 'rank 3', 'rank 4', 'rank 5', 'rank 6', 'sim', 'infra main', 'infra stack']
  },
  sim: { values: ['rank 0'] },
  // it runs in a browser, which has nothing of the gateway's
  console: { values: ['console'] },
  'infra main': {
    values: ['infra main', 'infra stack', 'infra schema', 'infra charts', 'infra constructs', 'infra lib']
  },
  'infra stack': { values: ['infra schema'] },
  'infra schema': { values: ['infra schema', 'infra lib'] },
  'infra charts': { values: ['infra schema', 'infra constructs', 'infra lib'] },
  'infra constructs': { values: ['infra schema', 'infra lib'] },
  'infra lib': { values: ['infra schema'] }
}

/** Single files that a room may import against the rule of their own room. */
const EXTRA: Partial<Record<Room, readonly string[]>> = {
  'rank 4': [
    'gateway/stream/roster.ts',
    'gateway/stream/sinks.ts',
    'gateway/stream/lent.ts',
    'gateway/stream/sse.ts',
    'gateway/stream/journal.ts'
  ],
  sim: ['gateway/stream/sse.ts']
}

const SAME_FOLDER = new Set<Room>([
  'rank 1',
  'rank 2',
  'rank 4',
  'sim',
  'infra charts',
  'infra constructs',
  'infra lib'
])
const SIM_IMPORTERS = /^gateway\/(cli\/up\.ts$|sim\/)/
const folderOf = (path: string) => path.split('/').slice(0, 2).join('/')

function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  const [room, target] = [roomOf(from), roomOf(to)]
  if (room === undefined || target === undefined) return false
  if (to.startsWith('gateway/sim/') && !SIM_IMPORTERS.test(from)) return false
  if (room.startsWith('infra') && to.startsWith('gateway/')) return to === 'gateway/contract.ts'
  if (SAME_FOLDER.has(room) && folderOf(from) === folderOf(to)) return true
  if (LAW[room].values.includes(target) || EXTRA[room]?.includes(to)) return true
  return typeOnly && (LAW[room].types?.includes(target) ?? false)
}

/** Each import of a file of the repository that the law forbids, and each file that has no room. */
export function checkImports(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const room = roomOf(file.path)
    if (room === undefined) return [`${file.path} has no rank in the import law`]
    return readImports(file)
      .filter(({ target, typeOnly }) => /\.[jt]s$/.test(target) && !mayImport(file.path, target, typeOnly))
      .map(({ target, typeOnly }) => {
        const what = typeOnly ? 'types of' : 'values of'
        return `${file.path} (${room}) must not import ${what} ${target} (${roomOf(target) ?? 'no rank'})`
      })
  })
}

/** Each circle of imports once, type imports included. */
export function checkCycles(files: readonly SourceFile[]): string[] {
  const edges = new Map(files.map((file) => [file.path, readImports(file).map(({ target }) => target)]))
  const finished = new Set<string>()
  const found: string[] = []
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path)
    if (at !== -1) found.push(`imports run in a circle: ${[...trail.slice(at), path].join(' -> ')}`)
    if (at !== -1 || finished.has(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
    finished.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return found
}

const IMPORTERS: readonly (readonly [string, RegExp])[] = [
  ['undici', /^gateway\/(upstream\/client\.ts$|cli\/)/],
  ['prom-client', /^gateway\/telemetry\/metrics\.ts$/],
  ['ws', /^gateway\/routes\/websocket\//],
  ['@redis/client', /^gateway\/stream\/redis-connection\.ts$/]
]
const WORDS: readonly (readonly [string, RegExp, RegExp])[] = [
  ['process.env', /\bprocess\.env\b/, /^(gateway\/config\.ts|gateway\/console\/snippets\.js|infra\/main\.ts)$/],
  ['Date.now', /\bDate\.now\b/, /^gateway\/(app\.ts|main\.ts|cli\/.*)$/],
  ['Math.random', /\bMath\.random\b/, /^gateway\/(app\.ts|main\.ts|cli\/.*)$/]
]

/** Each package and each global that is used outside the few files that may. */
export function checkSingleUsers(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const packages = IMPORTERS.filter(
      ([name, may]) =>
        !may.test(file.path) && readImports(file).some(({ target }) => target === name || target.startsWith(`${name}/`))
    ).map(([name]) => `${file.path} must not import ${name}`)
    const code = codeOf(file.text)
    const words = WORDS.filter(([, word, may]) => word.test(code) && !may.test(file.path))
    return [...packages, ...words.map(([name]) => `${file.path} must not use ${name}`)]
  })
}

const MAX_FILE_LINES = 300

/** The form of a file: its length, its first line, its name, no enum. */
export function checkForm(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.trimEnd().split('\n')
    const problems = [
      lines.length > MAX_FILE_LINES && `has ${lines.length} lines, more than ${MAX_FILE_LINES}`,
      !/^\/\/ \S.*\.$/.test(lines[0] ?? '') && 'does not begin with a // sentence that ends with a period',
      /^\s*(?:export )?(?:declare )?(?:const )?enum \w/m.test(text) && 'has an enum',
      /(?:^|\/)index\.[jt]s$/.test(path) && 'is a barrel',
      /(?:^|\/)(?:utils?|common|helpers?)(?:\.[jt]s$|\/)/.test(path) && 'has a name that says nothing'
    ]
    return problems.filter((problem) => problem !== false).map((problem) => `${path} ${problem}`)
  })
}

const MAX_FUNCTION_LINES = 40
const BLOCKS = /^\s*(?:\} )?(?:if|for|while|switch|else|try|catch|finally|do|class|interface|return \{)\b/
const HEADS = [/\bfunction\b.*\{$/, /=> \{$/, /^\s*\)(?:: .+)? (?:=> )?\{$/, /^\s*[\w#*[\]. ]+\(.*\)(?:: .+)? \{$/]

/** Each function that is too long, counted on formatted code: a body ends at the first `}` as far in as its head. */
export function checkFunctions(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.split('\n')
    const inOf = (line: string) => line.length - line.trimStart().length
    return lines.flatMap((line, at) => {
      if (BLOCKS.test(line) || !HEADS.some((head) => head.test(line))) return []
      const isEnd = (other: string) => inOf(other) === inOf(line) && other.trimStart().startsWith('}')
      const length = lines.slice(at + 1).findIndex(isEnd)
      if (length <= MAX_FUNCTION_LINES) return []
      return [
        `${path}:${at + 1} has a function whose body has ${length} lines, more than ${MAX_FUNCTION_LINES}: ${line.trim()}`
      ]
    })
  })
}
