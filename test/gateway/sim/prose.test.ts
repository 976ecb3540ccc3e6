import { describe, expect, it } from 'vitest'
import { createProse, findTopics } from '../../../gateway/sim/prose.ts'
import { createRandom } from '../../../gateway/sim/random.ts'
import { renderChat, tokenize } from '../../../gateway/sim/tokens.ts'

function write(seed: number, mayEnd: (tokens: number) => boolean, most = 5_000): string[] {
  const prose = createProse(['rivers'], createRandom(seed))
  const tokens: string[] = []
  while (tokens.length < most) {
    const token = prose.next(mayEnd(tokens.length))
    if (token === undefined) break
    tokens.push(token)
  }
  return tokens
}

describe('the text', () => {
  it('is whole sentences in paragraphs, about what the prompt names', () => {
    for (let seed = 0; seed < 50; seed++) {
      const text = write(seed, () => true).join('')
      expect(text).toMatch(/^[A-Z][^{}]*\.$/)
      expect(text).not.toMatch(/ {2}|\s$|\ba [aeiou]/)
      for (const sentence of text.split(/(?<=\.)\s+/)) expect(sentence).toMatch(/^[A-Z][\w ,':-]+\.$/)
    }
    expect(write(3, () => true).join('')).toContain('rivers')
  })

  it('ends by itself after a few paragraphs, but not while it may not', () => {
    const free = write(1, () => true)
    expect(free.length).toBeGreaterThan(40)
    expect(free.length).toBeLessThan(400)
    expect(write(1, () => false, 3_000)).toHaveLength(3_000)
    expect(write(1, (tokens) => tokens >= 500).length).toBeGreaterThanOrEqual(500)
  })

  it('is the same for the same seed and another for another', () => {
    expect(write(1, () => true)).toEqual(write(1, () => true))
    expect(write(1, () => true)).not.toEqual(write(2, () => true))
  })

  it('takes plurals of the prompt for topics, and has some of its own where there are none', () => {
    expect(findTopics('Do cats like this, or dogs? Cats, perhaps.')).toEqual(['cats', 'dogs'])
    expect(findTopics('').length).toBeGreaterThan(0)
  })
})

describe('tokens', () => {
  it.each(['Why do rivers bend?', '  two  blanks ', 'naïve café, 12345 🙂\n\nend', "don't", 'internationalization'])(
    'of %j are its text again when joined',
    (text) => {
      expect(tokenize(text).join('')).toBe(text)
    }
  )

  it('carry the blank before a word, as those of real models', () => {
    expect(tokenize('Why do rivers bend?')).toEqual(['Why', ' do', ' rivers', ' bend', '?'])
  })

  it('of a conversation are those of its messages and of the template', () => {
    expect(renderChat([{ role: 'user', content: 'Hi there' }]).join('')).toBe(
      '<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n'
    )
  })
})
