// A form with a file, read part by part and written anew: the engine gets the very fields that were read here, once.
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy'
import type { CallBody } from '../call.ts'
import { GatewayError } from '../errors.ts'
import type { Fields } from './output-cap.ts'

export interface FormOptions {
  /** What parts the new form; nothing in a file may look like it, so it is random. */
  readonly boundary: string
  /** A larger form gets 413. */
  readonly maxBytes: number
  /** So much is held at most while the model is not known. */
  readonly maxHeldBytes: number
  /** A form that is not whole after so many bytes is passed on as it comes, from then on. */
  readonly passBytes: number
}

/** More than any route's form has. */
const MAX_FIELDS = 64
const MAX_FIELD_BYTES = 65_536
/** Fields that decide about a call, with what their texts stand for; they are written once, as they were read. */
const DECISIVE = {
  model: 'text',
  stream: 'truth',
  stream_include_usage: 'truth',
  n: 'count',
  max_completion_tokens: 'count'
} as const
/** The words that pydantic, which reads an engine's forms, takes for a truth. */
const TRUE = /^(?:true|t|1|on|yes|y)$/i
const FALSE = /^(?:false|f|0|off|no|n)$/i

const refuse = (message: string, param?: string) =>
  new GatewayError('invalid_request', { message, ...(param === undefined ? {} : { param }) })

const tooLarge = (maxBytes: number) =>
  new GatewayError('body_too_large', { message: `The form is larger than ${maxBytes} bytes.` })

/** Resolves once the form is whole, or its model known and `passBytes` held; rejects with a `GatewayError`. */
export async function readForm(source: IncomingMessage, options: FormOptions): Promise<Form> {
  const form = new Form(source, options)
  await form.ready
  return form
}

export class Form implements Fields {
  readonly #source: IncomingMessage
  readonly #options: FormOptions
  readonly #fields: [name: string, value: string][] = []
  #held: Buffer[] = []
  #heldBytes = 0
  /** Of the whole form, so far. */
  #bytes = 0
  #copying: Promise<void> = Promise.resolve()
  #isWhole = false
  #failure: unknown
  /** What the engine gets after all that was held. */
  #rest: PassThrough | undefined
  #ours: Readonly<Record<string, unknown>> = {}
  readonly #ready = Promise.withResolvers<void>()
  readonly #begun = Promise.withResolvers<void>()

  constructor(source: IncomingMessage, options: FormOptions) {
    this.#source = source
    this.#options = options
    const parser = this.#createParser()
    source.on('error', () => this.#fail(refuse('The request body broke off.')))
    if (parser === undefined) return
    // whoever says so beforehand need not send it
    if (Number(source.headers['content-length'] ?? 0) > options.maxBytes) this.#fail(tooLarge(options.maxBytes))
    source.on('data', (bytes: Buffer) => this.#count(bytes.length))
    if (this.#failure === undefined) source.pipe(parser)
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  get(name: string): unknown {
    const value = this.#fields.findLast(([field]) => field === name)?.[1]
    const kind = Object.hasOwn(DECISIVE, name) ? DECISIVE[name as keyof typeof DECISIVE] : 'text'
    if (value === undefined || kind === 'text') return value
    if (kind === 'count') return /^\d{1,15}$/.test(value) ? Number(value) : value
    return TRUE.test(value) ? true : FALSE.test(value) ? false : value
  }

  raw(name: string): Buffer | undefined {
    const value = this.get(name)
    return value === undefined ? undefined : Buffer.from(String(value))
  }

  /** The form for the engine, with `ours` in place of what decides; from now on the rest of it flows. */
  toBody(ours: Readonly<Record<string, unknown>>): CallBody {
    this.#ours = ours
    const type = `multipart/form-data; boundary=${this.#options.boundary}`
    const held = this.#held
    this.#held = []
    if (this.#isWhole) return { type, bytes: Buffer.concat([...held, this.#writeFields()]) }
    const rest = new PassThrough()
    // an upload that breaks is told to whoever reads it; without a reader there is nobody to tell
    rest.on('error', () => {})
    this.#rest = rest
    this.#begun.resolve()
    return { type, bytes: Buffer.concat(held), rest }
  }

  /** Nobody wants the rest of the form any more; it is read and thrown away, for a client may only listen once it has sent it. */
  drop(): void {
    if (!this.#isWhole) this.#fail(new Error('the answer is over'))
  }

  #createParser(): BusboyInstance | undefined {
    const limits = { fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES, files: 1 }
    const headers = this.#source.headers as BusboyHeaders
    // an engine goes by the file name alone: a field that passed for a file here would reach it unread
    const isPartAFile = (_name?: string, _type?: string, filename?: string) => filename !== undefined
    try {
      const parser = new Busboy({ headers, limits, isPartAFile })
      parser.on('field', (name, value, nameCut, valueCut) => this.#takeField(name, value, nameCut || valueCut))
      parser.on('file', (name, file, filename, _encoding, mimeType) => {
        this.#copying = this.#copy(file, { name, filename, mimeType }).catch((cause) => this.#fail(cause))
      })
      parser.on('filesLimit', () => this.#fail(refuse('The form has more than one file.')))
      parser.on('fieldsLimit', () => this.#fail(refuse(`The form has more than ${MAX_FIELDS} fields.`)))
      parser.on('error', (cause) => this.#fail(refuse(`The form can't be read: ${(cause as Error).message}.`)))
      parser.on('finish', () => void this.#copying.then(() => this.#finish()))
      return parser
    } catch (cause) {
      this.#fail(refuse(`The form can't be read: ${(cause as Error).message}.`))
      return undefined
    }
  }

  #takeField(name: string | undefined, value: string, isCut: boolean): void {
    if (name === undefined) {
      this.#fail(refuse('The form has a part without a name.'))
      return
    }
    if (isCut) this.#fail(refuse(`The field is longer than ${MAX_FIELD_BYTES} bytes.`, name.slice(0, 64)))
    if (this.#rest !== undefined && Object.hasOwn(DECISIVE, name))
      this.#fail(refuse(`Send ${name} before the file: a large file is passed on as it comes.`, name))
    this.#fields.push([name, value])
  }

  /** Copies the file: into memory at first, then to the engine, as fast as that takes it. */
  async #copy(file: Readable, part: { name: string; filename: string; mimeType: string }): Promise<void> {
    if (part.name === undefined) throw refuse('The form has a part without a name.')
    this.#held.push(this.#writeHead(part))
    for await (const bytes of file as AsyncIterable<Buffer>) {
      if (this.#failure !== undefined) return
      if (this.#rest === undefined) await this.#hold(bytes)
      else await write(this.#rest, bytes)
    }
    const end = Buffer.from('\r\n')
    if (this.#rest === undefined) this.#held.push(end)
    else this.#rest.write(end)
  }

  #count(bytes: number): void {
    const { maxBytes } = this.#options
    this.#bytes += bytes
    if (this.#bytes > maxBytes) this.#fail(tooLarge(maxBytes))
  }

  async #hold(bytes: Buffer): Promise<void> {
    const { passBytes, maxHeldBytes } = this.#options
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    const isKnown = this.get('model') !== undefined
    if (this.#heldBytes > maxHeldBytes && !isKnown) {
      const message = `Send the field model before a file that is larger than ${maxHeldBytes} bytes: it is passed on as it comes, to an engine of its model.`
      throw new GatewayError('body_too_large', { message })
    }
    if (this.#heldBytes <= passBytes || !isKnown) return
    this.#ready.resolve()
    await this.#begun.promise
  }

  #finish(): void {
    if (this.#failure !== undefined) return
    this.#isWhole = true
    this.#rest?.end(this.#writeFields())
    this.#ready.resolve()
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined || this.#isWhole) return
    this.#failure = cause
    this.#held = []
    this.#source.unpipe()
    this.#source.resume()
    this.#rest?.destroy(cause as Error)
    this.#begun.resolve()
    this.#ready.reject(cause)
  }

  #writeHead({ name, filename, mimeType }: { name: string; filename: string; mimeType: string }): Buffer {
    const file = filename === undefined ? '' : `; filename="${quote(filename)}"`
    const type = /^[\x20-\x7e]+$/.test(mimeType) ? mimeType : 'application/octet-stream'
    const disposition = `Content-Disposition: form-data; name="${quote(name)}"${file}`
    return Buffer.from(`--${this.#options.boundary}\r\n${disposition}\r\nContent-Type: ${type}\r\n\r\n`)
  }

  /** Every field after the file, for an upload's last ones are known only then, and the end of the form. */
  #writeFields(): Buffer {
    const theirs = this.#fields.filter(([name]) => !Object.hasOwn(DECISIVE, name) && !Object.hasOwn(this.#ours, name))
    const { boundary } = this.#options
    const parts = [...theirs, ...Object.entries(this.#ours)].map(
      ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${quote(name)}"\r\n\r\n${value}\r\n`
    )
    return Buffer.from(`${parts.join('')}--${boundary}--\r\n`)
  }
}

/** As browsers write a name (https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data). */
const quote = (text: string) => text.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22')

/** Writes, and resolves when more may come. */
function write(to: PassThrough, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (to.destroyed || to.write(bytes)) return resolve()
    const done = () => {
      to.off('drain', done).off('close', done)
      resolve()
    }
    to.once('drain', done).once('close', done)
  })
}
