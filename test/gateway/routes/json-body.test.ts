// A request body: where its first mistake is, and what changes when fields are set in it.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../gateway/errors.ts'
import { readJsonBody } from '../../../gateway/routes/json-body.ts'
import { seeded } from '../../helpers/fakes.ts'

function refusalOf(text: string | Buffer): string {
  try {
    readJsonBody(Buffer.from(text))
    return 'accepted'
  } catch (cause) {
    return cause instanceof GatewayError ? `${cause.code}: ${cause.message}` : `not refused but broken: ${cause}`
  }
}

const at = (offset: number, line: number, column: number) =>
  expect.stringMatching(new RegExp(`position ${offset} \\(line ${line} column ${column}\\)\\.$`))

describe('a body', () => {
  it.each([
    ['{', at(1, 1, 2)],
    ['x', at(0, 1, 1)],
    ['}', at(0, 1, 1)],
    ['nope', at(0, 1, 1)],
    ['{"a":1', at(6, 1, 7)],
    ['{"a":1,}', at(7, 1, 8)],
    ['{"a" 1}', at(5, 1, 6)],
    ['{a:1}', at(1, 1, 2)],
    ["{'a':1}", at(1, 1, 2)],
    ['{"a":tru}', at(5, 1, 6)],
    ['{"a":1} {', at(8, 1, 9)],
    ['{"a":1}x', at(7, 1, 8)],
    ['{"a":[1,2}', at(9, 1, 10)],
    ['{"a":01}', at(6, 1, 7)],
    ['{\n  "a": 1,\n  "b": ?\n}', at(19, 3, 8)],
    ['{"a":1 // why\n}', at(7, 1, 8)],
    ['{"a":"b', at(5, 1, 6)]
  ])('%j is refused with the place of its first mistake', (text, expected) => {
    expect(refusalOf(text)).toEqual(expected)
  })

  it.each([
    ['', 'it is empty'],
    [' \n', 'it is empty']
  ])('%j is refused: %s', (text, reason) => {
    expect(refusalOf(text)).toBe(`invalid_json: The request body is not valid JSON: ${reason}.`)
  })

  it.each(['{"a":"\u0001"}', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"\n"}'])('%j is refused for a character', (text) => {
    expect(refusalOf(text)).toMatch(/^invalid_json: .*(character|escape|unicode|string)/)
  })

  it.each(['[]', '"a"', '7', 'null', 'true', '[{"a":1}]'])('%s is refused, for it is no object', (text) => {
    expect(refusalOf(text)).toBe('invalid_json: The request body must be a JSON object.')
  })

  it.each([
    ['a byte order mark', '\ufeff{}'],
    ['a space that is not of JSON', '{\u00a0}'],
    ['a form feed', '{}\f'],
    ['a number that ends in a dot', '{"a":1.}'],
    ['a number with a plus', '{"a":+1}'],
    ['a lone minus', '{"a":-}'],
    ['not a number', '{"a":NaN}'],
    ['a comment of several lines', '{/* a */}'],
    ['bytes of no text', Buffer.from([0x7b, 0xff, 0x7d])]
  ])('with %s is refused as JSON, and nothing breaks', (_what, text) => {
    expect(refusalOf(text)).toMatch(/^invalid_json: The request body is not valid JSON: .+\.$/)
  })

  it.each([
    ['ten thousand brackets', '['.repeat(10_000)],
    ['a million brackets that are closed', `{"a":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`],
    ['a hundred thousand objects, unclosed', '{"a":'.repeat(100_000)]
  ])('with %s is refused for its depth, before it is parsed', (_what, text) => {
    expect(refusalOf(text)).toBe('invalid_json: The request body is nested more than 256 levels deep.')
  })

  it('with a million fields is refused for their number, before it is parsed', () => {
    expect(refusalOf(`{${'"n":1,'.repeat(1_000_000)}"n":1}`)).toBe(
      'invalid_json: The request body has more than 1000 fields.'
    )
  })

  it('is never quoted', () => {
    expect(refusalOf('{"prompt":"my secret" "b"}')).not.toContain('secret')
  })

  // V8 takes the escaped name of a later object for the name of an earlier one that begins with the same characters
  it.each([
    ['{"model":"m","\\\\":1}', '{"model":"m","\\u006e":128}', 'n'],
    ['{"model":"m","\\\\u0070":1}', '{"model":"m","\\u0070rompt":["a"]}', 'prompt']
  ])('after %j: %j has the field %j', (earlier, later, field) => {
    readJsonBody(Buffer.from(earlier))
    expect(readJsonBody(Buffer.from(later)).raw(field)).not.toBe(undefined)
  })

  it('that is refused has a place that is in it', () => {
    const random = seeded(5)
    const valid = '{"a": [1, -2.5e3, "x\\n\\u00e9", {"b": null}], "c": true}'
    for (let round = 0; round < 2_000; round++) {
      const cut = Math.floor(random() * valid.length)
      const mutated =
        valid.slice(0, cut) + ['', '}', '"', ',', '\\', '7', '\u0000'][Math.floor(random() * 7)] + valid.slice(cut + 1)
      const refusal = refusalOf(mutated)
      const offset = Number(/position (\d+)/.exec(refusal)?.[1] ?? 0)
      expect(offset, `${mutated} -> ${refusal}`).toBeLessThanOrEqual(mutated.length)
      expect(refusal, mutated).toMatch(/^(accepted|invalid_json)/)
    }
  })
})

const set = (text: string, fields: Record<string, unknown>) => String(readJsonBody(Buffer.from(text)).with(fields))

describe('setting fields', () => {
  it('puts them in front', () => {
    expect(set('{"a":1}', { model: 'm', stream: true })).toBe('{"model":"m","stream":true,"a":1}')
  })

  it.each([
    ['of the same name', '{"model":"x","a":1}'],
    ['at the end', '{"a":1,"model":"x"}'],
    ['twice', '{"model":"x","a":1,"model":"y"}'],
    ['with an escape in its name', '{"mod\\u0065l":"x","a":1}'],
    ['whose value looks like the end', '{"model":"}],\\"","a":1}'],
    ['that is an object', '{"model":{"a":[1,{"b":"}"}]},"a":1}']
  ])('replaces one %s', (_what, text) => {
    expect(set(text, { model: 'm' })).toBe('{"model":"m","a":1}')
  })

  it('leaves fields of that name alone that are deeper', () => {
    expect(set('{"a":{"model":"x"}}', { model: 'm' })).toBe('{"model":"m","a":{"model":"x"}}')
  })

  it('leaves every digit of a number', () => {
    const rest = '"seed":12345678901234567890123,"t":1.0,"e":1E400,"z":-0'
    expect(set(`{${rest}}`, { model: 'm' })).toBe(`{"model":"m",${rest}}`)
  })

  it('leaves escapes, spaces within values and bytes of no text as they are', () => {
    const rest = Buffer.concat([Buffer.from('"a": [ 1 , "\\u00e9\\/" ],"b":"'), Buffer.from([0xff]), Buffer.from('"')])
    const body = Buffer.concat([Buffer.from('{'), rest, Buffer.from('}')])
    expect(readJsonBody(body).with({ m: 1 })).toEqual(Buffer.concat([Buffer.from('{"m":1,'), rest, Buffer.from('}')]))
  })

  it.each([
    ['{}', { m: 1 }, '{"m":1}'],
    [' { } ', { m: 1 }, '{"m":1}'],
    ['{"m":2}', { m: 1 }, '{"m":1}'],
    ['{"a":1}', {}, '{"a":1}'],
    ['{}', {}, '{}'],
    ['{"__proto__":1}', { m: 1 }, '{"m":1,"__proto__":1}'],
    ['{"":1,"toString":2}', { m: 1 }, '{"m":1,"":1,"toString":2}']
  ])('in %j of %j gives %j', (text, fields, expected) => {
    expect(set(text, fields)).toBe(expected)
  })
})

describe('fields that count once', () => {
  const once = (text: string) => String(readJsonBody(Buffer.from(text)).with({ m: 1 }, ['n', 'prompt']))

  it.each([
    ['keep their last mention', '{"n":1,"a":2,"n":3}', '{"m":1,"a":2,"n":3}'],
    ['are spelt plainly', '{"\\u006e":7}', '{"m":1,"n":7}'],
    ['keep the bytes of their value', '{"prompt":[ 1, 2.0 ]}', '{"m":1,"prompt":[ 1, 2.0 ]}']
  ])('%s', (_what, text, expected) => {
    expect(once(text)).toBe(expected)
  })
})

describe('setting fields in any object', () => {
  const random = seeded(11)
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
  const KEYS = ['model', 'stream', 'a', 'mod\u0000el', 'é', '}', '"', '', 'model ', '猫']
  const TEXTS = ['', '"', '\\', '\\"', '}', ']', ',', '"model":1', '\n', '猫👩‍🚀', '\\\\']
  const space = () => pick(['', '', ' ', '\n', '\t \r\n'])
  /** A string as JSON, its characters escaped now and then. */
  const spell = (text: string) =>
    random() < 0.3
      ? `"${[...text].map((c) => (c.length === 1 && random() < 0.5 ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : JSON.stringify(c).slice(1, -1))).join('')}"`
      : JSON.stringify(text)
  const value = (depth: number): string => {
    const kind = random()
    if (depth > 0 && kind < 0.25) return object(depth - 1)
    if (depth > 0 && kind < 0.45)
      return `[${space()}${[value(depth - 1), value(depth - 1)].join(`${space()},${space()}`)}]`
    return kind < 0.8 ? spell(pick(TEXTS)) : pick(['1', '-2.5e3', 'true', 'false', 'null', '0'])
  }
  const object = (depth: number): string => {
    const count = Math.floor(random() * 5)
    const members = Array.from({ length: count }, () => `${spell(pick(KEYS))}${space()}:${space()}${value(depth)}`)
    return `${space()}{${space()}${members.join(`${space()},${space()}`)}${space()}}${space()}`
  }

  it('gives what setting them in the parsed object gives', () => {
    for (let round = 0; round < 3_000; round++) {
      const text = object(3)
      const fields = pick<Record<string, unknown>>([
        { model: 'm' },
        { model: 'm', stream: false },
        { '}': 1 },
        { a: [1] }
      ])
      const expected = { ...JSON.parse(text), ...fields }
      expect(JSON.parse(set(text, fields)), text).toEqual(expected)
    }
  })

  it('leaves no second field of a name that was set', () => {
    for (let round = 0; round < 1_000; round++) {
      const seen: string[] = []
      const result = set(object(1), { model: 'm' })
      JSON.parse(result, function (key) {
        if (key === 'model') seen.push(key)
        return this[key]
      })
      expect(result.indexOf('{"model":"m"'), result).toBe(0)
      expect(set(result, { model: 'n' }).replace('"model":"n"', '"model":"m"'), result).toBe(result)
    }
  })
})
