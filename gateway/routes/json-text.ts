// Writes the few values that are set in request bodies as JSON of ASCII alone, so that a text is as long as its bytes.

/** The JSON of a value that has one; of an object the fields that do. */
export function toJsonText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'number' && Number.isInteger(value)) return String(value)
  if (typeof value === 'string' && isPlain(value)) return `"${value}"`
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return toAscii(JSON.stringify(value))
  let text = ''
  for (const name in value) {
    const field = (value as Record<string, unknown>)[name]
    if (field === undefined) continue
    text += `${text === '' ? '{' : ','}${toJsonText(name)}:${toJsonText(field)}`
  }
  return text === '' ? '{}' : `${text}}`
}

/** Whether a text stands in JSON as it is. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false
  }
  return true
}

const toAscii = (json: string) =>
  json.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
