// Says where a text stops being JSON, by position, line and column, and never by quoting it.
import { type ParseError, parse as parseTolerantly, printParseErrorCode } from 'jsonc-parser'

/** The second parser takes a tenth of a second for a megabyte: too long to hold everybody else up. */
const MAX_SEARCHED_CHARS = 262_144

/** Where the first mistake of `text` is. Node's own parser names no position for some mistakes, so another one is asked. */
export function locateMistake(text: string): string {
  if (text.trim() === '') return 'it is empty'
  if (text.length > MAX_SEARCHED_CHARS) return `it is too long, ${text.length} characters, to say where the mistake is`
  const errors: ParseError[] = []
  try {
    parseTolerantly(text, errors, { disallowComments: true, allowTrailingComma: false })
  } catch {
    return 'its brackets are nested too deeply to say where the mistake is'
  }
  const first = errors[0]
  if (first === undefined) return 'a string holds a control character or a bad escape'
  const before = text.slice(0, first.offset).split('\n')
  const reason = printParseErrorCode(first.error)
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toLowerCase()
  return `${reason} at position ${first.offset} (line ${before.length} column ${(before.at(-1)?.length ?? 0) + 1})`
}
