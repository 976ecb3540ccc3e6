// Reads HTTP/1.1 field lines from bytes, without a text or an expression: one short loop runs fast even when nothing of it is cached.

const CR = 0x0d
const LF = 0x0a
const SPACE = 0x20
const COLON = 0x3a
const TILDE = 0x7e
/** Turns upper case into lower; of other characters that a name may have it makes what only another name has. */
const LOWER = 0x20

/** 1 for each byte that a field's name may have (RFC 9110, token). */
const TOKEN = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
  TOKEN[char.charCodeAt(0)] = 1

/** The line that was read last; offsets are into the bytes that it was read from. */
export class FieldLine {
  nameStart = 0
  nameEnd = 0
  /** Without the spaces around it. */
  valueStart = 0
  valueEnd = 0
  /** A number that equal names share, whatever their case. */
  nameKey = 0

  /**
   * Reads the line that begins at `at`. Narrower than RFC 9112 on purpose: a value is visible ASCII and spaces, so a folded
   * line, a bare CR or LF, a tab, a byte above 0x7e or a space before the colon is not in it.
   *
   * @returns the index after the line's CRLF; -1 where no such line ends before `limit`, which is at most `bytes.length`
   */
  read(bytes: Buffer, at: number, limit: number): number {
    let i = at
    let key = 0
    for (; i < limit && TOKEN[bytes[i] as number] === 1; i++)
      key = (Math.imul(key, 31) + ((bytes[i] as number) | LOWER)) | 0
    if (i === at || i >= limit || bytes[i] !== COLON) return -1
    this.nameStart = at
    this.nameEnd = i
    this.nameKey = key
    do i++
    while (i < limit && bytes[i] === SPACE)
    this.valueStart = i
    let end = i
    for (; i < limit; i++) {
      const byte = bytes[i] as number
      if (byte < SPACE || byte > TILDE) break
      if (byte !== SPACE) end = i + 1
    }
    this.valueEnd = end
    return i + 1 < limit && bytes[i] === CR && bytes[i + 1] === LF ? i + 2 : -1
  }

  /** Whether the value is `text`, given in lower case, whatever the case of its letters. */
  hasValue(bytes: Buffer, text: Uint8Array): boolean {
    return this.valueEnd - this.valueStart === text.length && matches(bytes, this.valueStart, text)
  }

  /** Whether the value begins with `text`, given in lower case. */
  beginsWith(bytes: Buffer, text: Uint8Array): boolean {
    return this.valueEnd - this.valueStart >= text.length && matches(bytes, this.valueStart, text)
  }

  /** Whether the name begins with `text`, given in lower case. */
  isNamedLike(bytes: Buffer, text: Uint8Array): boolean {
    return this.nameEnd - this.nameStart >= text.length && matches(bytes, this.nameStart, text)
  }

  /** The value as a text. */
  value(bytes: Buffer): string {
    return bytes.toString('latin1', this.valueStart, this.valueEnd)
  }
}

/** Whether `text`, in lower case, stands at `at`: letters in any case, everything else as it is. */
function matches(bytes: Buffer, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) {
    const expected = text[i] as number
    const byte = bytes[at + i] as number
    if (byte !== expected && ((byte | LOWER) !== expected || !isLetter(expected))) return false
  }
  return true
}

const isLetter = (byte: number) => byte >= 0x61 && byte <= 0x7a

/** What is known of some fields, found by the bytes of a name. */
export class FieldNames<T> {
  readonly #entries = new Map<number, { readonly name: Buffer; readonly known: T }>()

  /** @param fields by lower-case name */
  constructor(fields: Iterable<readonly [name: string, known: T]>) {
    for (const [name, known] of fields) {
      const bytes = Buffer.from(name)
      let key = 0
      for (const byte of bytes) key = (Math.imul(key, 31) + (byte | LOWER)) | 0
      if (this.#entries.has(key)) throw new Error(`the field ${name} shares its key with another one`)
      this.#entries.set(key, { name: bytes, known })
    }
  }

  /** What is known of the field of `line`; undefined where it is none of these. */
  find(bytes: Buffer, line: FieldLine): T | undefined {
    const entry = this.#entries.get(line.nameKey)
    if (entry === undefined || line.nameEnd - line.nameStart !== entry.name.length) return undefined
    return matches(bytes, line.nameStart, entry.name) ? entry.known : undefined
  }
}
