// JSON that is walked over instead of parsed.
import { describe, expect, it } from 'vitest'
import { isKey, scanObject } from '../../../gateway/routes/json-scan.ts'
import { writeOpenJson } from '../../../gateway/routes/json-text.ts'
import { TextMemory } from '../../../gateway/routes/text-memory.ts'
import { seeded } from '../../helpers/fakes.ts'

const takes = (bytes: Buffer) => scanObject(bytes, 'body') !== undefined

function parses(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}

const SEEDS = [
  '{"a": [1, -2.5e3, 0.1E+7, -0, 12e-2], "b": {"c":null,"d" :true, "e":false}}',
  '{"x\\n\\u00e9\\ud83d":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uDEAD", "猫":"é\u007f", "":[[],{},[{}]]}',
  ' \t\r\n{ "model" : "m" , "messages" : [ { "role" : "user" , "content" : "hi" } ] , "n" : 1 } \n'
]
/** What breaks JSON, or nearly. */
const PIECES = [
  '"',
  '\\',
  '\\u',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '0',
  '9',
  '-',
  '+',
  '.',
  'e',
  'E',
  ' ',
  '\n',
  '\u0001',
  't',
  'true',
  'nul',
  'é',
  '\u00a0',
  '/',
  "'"
]

describe('a body is taken', () => {
  it('where JSON.parse takes it, and only there', () => {
    const random = seeded(23)
    const draw = (count: number) => Math.floor(random() * count)
    let [taken, refused] = [0, 0]
    for (let round = 0; round < 60_000; round++) {
      let text = SEEDS[draw(SEEDS.length)] as string
      for (let edits = draw(3); edits >= 0; edits--) {
        const [at, cut] = [draw(text.length), draw(3)]
        text = text.slice(0, at) + (random() < 0.7 ? PIECES[draw(PIECES.length)] : '') + text.slice(at + cut)
      }
      const bytes = Buffer.from(`{"v":${text}}`)
      expect(takes(bytes), bytes.toString()).toBe(parses(bytes))
      if (takes(bytes)) taken++
      else refused++
    }
    expect(Math.min(taken, refused)).toBeGreaterThan(3_000)
  })

  it('where JSON.parse takes it, whatever byte stands anywhere', () => {
    for (const seed of SEEDS) {
      const bytes = Buffer.from(`{"v":${seed}}`)
      for (let at = 0; at < bytes.length; at++) {
        const before = bytes[at] as number
        for (let byte = 0; byte < 256; byte++) {
          bytes[at] = byte
          if (takes(bytes) !== parses(bytes)) expect.unreachable(`byte ${byte} at ${at}: ${bytes.toString('latin1')}`)
        }
        bytes[at] = before
      }
    }
  })

  it('only when it is whole', () => {
    for (const seed of SEEDS) {
      const bytes = Buffer.from(`{"v":${seed}}`)
      for (let cut = 0; cut < bytes.length; cut++) expect(takes(bytes.subarray(0, cut)), `cut at ${cut}`).toBe(false)
    }
  })
})

describe('a member', () => {
  it.each([
    ['{"a":1}', 'a', true],
    ['{"a":1}', 'b', false],
    ['{"a":1}', 'aa', false],
    ['{"\\u0061":1}', 'a', true],
    ['{"a\\u0000":1}', 'a\0', true],
    ['{"é":1}', 'é', true],
    ['{"":1}', '', true]
  ])('of %s has the key %j: %s', (text, name, expected) => {
    const bytes = Buffer.from(text)
    const [member] = scanObject(bytes, 'body') ?? []
    expect(member !== undefined && isKey(bytes, member, name)).toBe(expected)
  })
})

describe('JSON of ours', () => {
  it.each([
    [{ a: 1, b: 'x', c: true, d: { e: false, f: {} }, g: undefined }],
    [{ text: 'quote " and \\ and \n and é and 猫👩‍🚀 and \ud800' }],
    [{ 'é"': [1, { a: 'é' }, null], n: null, f: 1.5, big: 1e21, negative: -7 }],
    [{}],
    [{ long: 'x'.repeat(5_000), o: { long: 'x'.repeat(5_000) } }],
    [{ zero: 0, nine: 9, ten: 10, most: Number.MAX_SAFE_INTEGER }],
    [{ edge: 'x'.repeat(4_096 - 10) }],
    [{ edge: 'x'.repeat(4_096 - 11) }],
    [{ edge: 'x'.repeat(4_096 - 12) }]
  ])('is what JSON.stringify says', (value) => {
    const { bytes, end } = writeOpenJson(value)
    expect(`${bytes.toString('utf8', 0, end)}}`).toBe(JSON.stringify(value))
  })
})

describe('a text', () => {
  it('is the same however often it comes, and whatever comes between', () => {
    const memory = new TextMemory()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 600; i++) {
        const bytes = Buffer.from(`"model-${i}"`)
        expect(memory.read(bytes, 1, bytes.length - 1)).toBe(`model-${i}`)
      }
    }
  })

  it.each(['a\\nb', 'a"b', 'é', 'a\tb', '\x7f'])('%j is not read', (text) => {
    const bytes = Buffer.from(text)
    expect(new TextMemory().read(bytes, 0, bytes.length)).toBeUndefined()
  })

  it('of any length is read', () => {
    const bytes = Buffer.from('x'.repeat(1_000))
    expect(new TextMemory().read(bytes, 0, bytes.length)).toBe('x'.repeat(1_000))
    expect(new TextMemory().read(bytes, 0, 0)).toBe('')
  })
})
