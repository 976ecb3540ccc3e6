// Forms: what is read is what is written, wherever the bytes were cut, and what doesn't fit is refused.
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../gateway/errors.ts'
import { type FormOptions, readForm } from '../../../gateway/routes/form.ts'

const OPTIONS: FormOptions = { boundary: 'new', maxBytes: 100_000, maxHeldBytes: 50_000, passBytes: 10_000 }
type Part = readonly [name: string, value: string | Buffer]

function write(parts: readonly Part[]): Buffer {
  const written = parts.flatMap(([name, value]) => {
    const file = typeof value === 'string' ? '' : '; filename="a b.wav"\r\nContent-Type: audio/wav'
    return [`--old\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`, value, '\r\n']
  })
  return Buffer.concat([...written, '--old--\r\n'].map((part) => Buffer.from(part)))
}

/** A request whose body a test sends. */
function source(): PassThrough & IncomingMessage {
  return Object.assign(new PassThrough(), {
    headers: { 'content-type': 'multipart/form-data; boundary=old' }
  }) as unknown as PassThrough & IncomingMessage
}

async function read(bytes: Buffer, size = bytes.length, options: Partial<FormOptions> = {}) {
  const from = source()
  const form = readForm(from, { ...OPTIONS, ...options })
  for (let at = 0; at < bytes.length; at += size) from.write(bytes.subarray(at, at + size))
  from.end()
  return form
}

/** The parts of a form as an engine reads them. */
async function parse(bytes: Buffer): Promise<[string, string | { name: string; type: string; bytes: Buffer }][]> {
  const headers = { 'content-type': 'multipart/form-data; boundary=new' }
  const form = await new Response(new Uint8Array(bytes), { headers }).formData()
  return Promise.all(
    [...form].map(async ([key, value]): Promise<[string, string | { name: string; type: string; bytes: Buffer }]> => {
      if (typeof value === 'string') return [key, value]
      return [key, { name: value.name, type: value.type, bytes: Buffer.from(await value.arrayBuffer()) }]
    })
  )
}

const SOUND = Buffer.from(Array.from({ length: 3_000 }, (_, index) => index % 251))
const FILE = ['file', { name: 'a b.wav', type: 'audio/wav', bytes: SOUND }]
const codeOf = (reading: Promise<unknown>) =>
  reading.then(
    () => 'none',
    (cause) => (cause instanceof GatewayError ? `${cause.code} at ${cause.param}` : String(cause))
  )

describe('a form', () => {
  it.each([1, 2, 3, 17, 1_000, 100_000])(
    'cut every %i bytes is written with every part, the file to the byte',
    async (size) => {
      const parts: Part[] = [
        ['model', 'm'],
        ['file', SOUND],
        ['prompt', 'déjà vu\r\n"--old"'],
        ['n', '2']
      ]
      const form = await read(write(parts), size)
      const { bytes, rest, type } = form.toBody({ model: 'm', n: 2, stream: false })
      expect([type, rest]).toEqual(['multipart/form-data; boundary=new', undefined])
      expect(await parse(bytes)).toEqual([
        FILE,
        ['prompt', 'déjà vu\r\n"--old"'],
        ['model', 'm'],
        ['n', '2'],
        ['stream', 'false']
      ])
    }
  )

  it('is read as pydantic reads it: truths and counts, the last of two', async () => {
    const parts: Part[] = [
      ['model', 'a'],
      ['model', '7'],
      ['stream', 'On'],
      ['n', '3'],
      ['max_completion_tokens', '1e3'],
      ['other', '5']
    ]
    const form = await read(write(parts))
    expect(['model', 'stream', 'n', 'max_completion_tokens', 'other', 'absent'].map((name) => form.get(name))).toEqual([
      '7',
      true,
      3,
      '1e3',
      '5',
      undefined
    ])
  })

  it('knows a field by its having no file name, as engines do, whatever type it claims', async () => {
    const claim = 'Content-Disposition: form-data; name="n"\r\nContent-Type: application/octet-stream'
    const form = await read(Buffer.from(`--old\r\n${claim}\r\n\r\n64\r\n--old--\r\n`))
    expect(form.get('n')).toBe(64)
    expect(await parse(form.toBody({ n: 1 }).bytes)).toEqual([['n', '1']])
  })

  it('keeps fields that may stand more than once', async () => {
    const form = await read(
      write([
        ['timestamp_granularities[]', 'word'],
        ['timestamp_granularities[]', 'segment']
      ])
    )
    expect(await parse(form.toBody({}).bytes)).toEqual([
      ['timestamp_granularities[]', 'word'],
      ['timestamp_granularities[]', 'segment']
    ])
  })

  it.each([
    ['that never ends', write([['model', 'm']]).subarray(0, -12), 'invalid_request at null'],
    [
      'with too many fields',
      write(Array.from({ length: 70 }, (_, n) => [`f${n}`, 'x'] as const)),
      'invalid_request at null'
    ],
    ['with a field that is a book', write([['prompt', 'x'.repeat(70_000)]]), 'invalid_request at prompt'],
    [
      'with a file too large',
      write([
        ['model', 'm'],
        ['file', Buffer.alloc(100_001)]
      ]),
      'body_too_large at null'
    ],
    [
      'whose model comes after too much',
      write([
        ['file', Buffer.alloc(90_000)],
        ['model', 'm']
      ]),
      'body_too_large at null'
    ]
  ])('%s: %#', async (_what, bytes, expected) => {
    expect(await codeOf(read(bytes, 5_000, { maxHeldBytes: 20_000 }))).toBe(expected)
  })

  it('that says beforehand that it is too large is refused before it comes', async () => {
    const from = source()
    from.headers['content-length'] = '100001'
    expect(await codeOf(readForm(from, OPTIONS))).toBe('body_too_large at null')
  })

  it.each(['', '; filename="a.wav"'])('with a part that has no name is refused: %#', async (more) => {
    const part = `--old\r\nContent-Disposition: form-data${more}\r\n\r\nx\r\n--old--\r\n`
    expect(await codeOf(read(Buffer.from(part)))).toBe('invalid_request at null')
  })

  it('without a boundary is refused', async () => {
    const from = source()
    from.headers = { 'content-type': 'multipart/form-data' }
    expect(await codeOf(readForm(from, OPTIONS))).toBe('invalid_request at null')
  })
})

describe('a large form', () => {
  /** Reads as far as a call can begin; `send` sends the rest. */
  async function begin(options: Partial<FormOptions> = {}) {
    const bytes = write([
      ['model', 'm'],
      ['file', Buffer.alloc(40_000, 7)],
      ['language', 'fr']
    ])
    const from = source()
    from.write(bytes.subarray(0, 20_000))
    const form = await readForm(from, { ...OPTIONS, ...options })
    const body = form.toBody({ model: 'm' })
    return { from, form, ...body, send: () => from.end(bytes.subarray(20_000)) }
  }

  it('begins before it is whole, and is whole in the end', async () => {
    const { bytes, rest, send } = await begin()
    expect(bytes.length).toBeLessThan(21_000)
    send()
    const all = Buffer.concat([bytes, await buffer(rest as PassThrough)])
    expect(await parse(all)).toEqual([
      ['file', { name: 'a b.wav', type: 'audio/wav', bytes: Buffer.alloc(40_000, 7) }],
      ['language', 'fr'],
      ['model', 'm']
    ])
  })

  it('that grows too large is an error to whoever reads the rest', async () => {
    const { rest, send } = await begin({ maxBytes: 30_000 })
    send()
    expect(await codeOf(buffer(rest as PassThrough))).toBe('body_too_large at null')
  })

  it('with a field that has no name is an error to whoever reads the rest', async () => {
    const { rest, from } = await begin()
    from.end('\r\n--old\r\nContent-Disposition: form-data\r\n\r\nx\r\n--old--\r\n')
    expect(await codeOf(buffer(rest as PassThrough))).toBe('invalid_request at null')
  })

  it('that breaks off is an error to whoever reads the rest', async () => {
    const { rest, from } = await begin()
    from.destroy(new Error('gone'))
    expect(await codeOf(buffer(rest as PassThrough))).toBe('invalid_request at null')
  })

  it('that nobody wants any more is read to its end and thrown away', async () => {
    const { rest, from, form, send } = await begin()
    form.drop()
    expect(rest?.destroyed).toBe(true)
    send()
    await new Promise((resolve) => from.once('end', resolve))
  })
})
