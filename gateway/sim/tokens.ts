// A stand-in for a tokenizer: cuts text into pieces of about a word, and renders a conversation as a chat template does.

/** A word with the blank before it (long words in parts), up to three digits, a sign, or a run of white space. */
const PIECE = / ?[\p{L}\p{M}']{1,9}|\p{N}{1,3}|[^\s\p{L}\p{M}\p{N}']|\s+/gu

/** The token that ends an answer; it is counted, and never shown. */
export const END_OF_TEXT = '<|im_end|>'

/** The pieces of `text`; joined they are `text` again. */
export function tokenize(text: string): string[] {
  return text.match(PIECE) ?? []
}

export interface ChatMessage {
  readonly role: string
  readonly content: string
}

/** A conversation's tokens under a ChatML template, up to where the assistant is to speak. */
export function renderChat(messages: readonly ChatMessage[]): string[] {
  const tokens = messages.flatMap(({ role, content }) => [
    '<|im_start|>',
    role,
    '\n',
    ...tokenize(content),
    END_OF_TEXT,
    '\n'
  ])
  return [...tokens, '<|im_start|>', 'assistant', '\n']
}
