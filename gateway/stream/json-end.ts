// Tells whether a JSON object or list that comes in pieces has come to its end, without keeping or parsing it.

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
/** Makes a brace of the bracket that opens, or closes, as it does. */
const BRACE_BIT = 0x20

export class JsonEnd {
  #depth = 0
  #hasBegun = false
  #isInString = false
  #isEscaped = false

  /** Whether all that was opened is closed. */
  get isReached(): boolean {
    return this.#hasBegun && this.#depth === 0
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at++) this.#take(bytes[at] as number)
  }

  #take(byte: number): void {
    if (this.#isInString) this.#takeOfString(byte)
    else if (byte === QUOTE) this.#isInString = true
    else if ((byte | BRACE_BIT) === OPEN_BRACE) {
      this.#hasBegun = true
      this.#depth++
    } else if ((byte | BRACE_BIT) === CLOSE_BRACE) this.#depth--
  }

  #takeOfString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BACKSLASH) this.#isEscaped = true
    else if (byte === QUOTE) this.#isInString = false
  }
}
