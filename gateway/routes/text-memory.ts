// Makes a text of bytes that have come before without making it again: names of models, above all.

/** Longer texts hardly come twice. */
const LONGEST = 128
/** A deployment has a few names; whoever sends others has all of them made anew. */
const MOST = 256

interface Remembered {
  readonly bytes: Buffer
  readonly text: string
}

export class TextMemory {
  readonly #texts = new Map<number, Remembered>()

  /** The text from `start` to `end`; undefined where a byte is not visible ASCII or a space, or is a quote or a backslash. */
  read(bytes: Buffer, start: number, end: number): string | undefined {
    let key = end - start
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number
      if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) return undefined
      key = (Math.imul(key, 31) + byte) | 0
    }
    const known = this.#texts.get(key)
    if (known !== undefined && isSame(known.bytes, bytes, start, end)) return known.text
    const text = bytes.toString('latin1', start, end)
    if (end - start <= LONGEST) this.#remember(key, text)
    return text
  }

  #remember(key: number, text: string): void {
    if (this.#texts.size >= MOST) this.#texts.clear()
    this.#texts.set(key, { bytes: Buffer.from(text, 'latin1'), text })
  }
}

function isSame(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false
  return true
}
