// Numbers for tokens: each gets the next one when it is first seen, so that what was tokenized can be put together again.

export interface Vocabulary {
  idOf(token: string): number
  /** The token of a number; one that was never given has a text that says so. */
  tokenOf(id: number): string
}

/** About as many as a large model has; later tokens share the last number. */
const MAX_TOKENS = 200_000

export function createVocabulary(): Vocabulary {
  const ids = new Map<string, number>()
  const tokens: string[] = []
  return {
    idOf(token) {
      const known = ids.get(token)
      if (known !== undefined) return known
      if (tokens.length >= MAX_TOKENS) return MAX_TOKENS
      ids.set(token, tokens.length)
      return tokens.push(token) - 1
    },
    tokenOf: (id) => tokens[id] ?? `<|${id}|>`
  }
}
