// Writes the few values that are set in request bodies as JSON, straight into bytes.

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const ZERO = 0x30

/** What is written by a loop fits in here; the rest has other ways. */
const scratch = Buffer.allocUnsafeSlow(4_096)

/** The JSON of an object without its last brace; lent until the next call. */
export interface OpenJson {
  readonly bytes: Buffer
  readonly end: number
}

const open = { bytes: scratch, end: 0 }

/** Writes the JSON of `fields` without its last brace; fields that are undefined are left out. */
export function writeOpenJson(fields: Readonly<Record<string, unknown>>): OpenJson {
  const end = writeFields(0, fields)
  const fits = end !== -1 && end <= scratch.length
  open.bytes = fits ? scratch : Buffer.from(JSON.stringify(fields))
  open.end = fits ? end : open.bytes.length - 1
  return open
}

/**
 * The index after what was written at `at`, an object without its last brace; -1 for one with values that are more than whole
 * numbers, plain texts, truth values and such objects. What does not fit is not written, and has an index beyond the end.
 */
function writeFields(at: number, fields: Readonly<Record<string, unknown>>): number {
  scratch[at] = OPEN_BRACE
  let end = at + 1
  for (const name in fields) {
    const value = fields[name]
    if (value === undefined) continue
    if (end !== at + 1) scratch[end++] = COMMA
    end = writeText(end, name)
    if (end === -1) return -1
    scratch[end] = COLON
    end = writeValue(end + 1, value)
    if (end === -1) return -1
  }
  return end
}

function writeValue(at: number, value: unknown): number {
  if (typeof value === 'string') return writeText(at, value)
  if (typeof value === 'number') return writeNumber(at, value)
  if (typeof value === 'boolean') return writePlain(at, value ? 'true' : 'false')
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return -1
  const end = writeFields(at, value as Record<string, unknown>)
  if (end !== -1) scratch[end] = CLOSE_BRACE
  return end === -1 ? -1 : end + 1
}

function writePlain(at: number, text: string): number {
  for (let i = 0; i < text.length; i++) scratch[at + i] = text.charCodeAt(i)
  return at + text.length
}

function writeText(at: number, text: string): number {
  scratch[at] = QUOTE
  let end = at + 1
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) return -1
    scratch[end++] = code
  }
  scratch[end] = QUOTE
  return end + 1
}

function writeNumber(at: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) return -1
  let digits = 1
  for (let limit = 10; value >= limit; limit *= 10) digits++
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / 10)
    scratch[i] = ZERO + (rest - next * 10)
    rest = next
  }
  return at + digits
}
