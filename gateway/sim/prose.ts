// The text that the engine writes: readable, endless if need be, about what the prompt names, the same for the same seed.
import { pick, type Random } from './random.ts'
import { tokenize } from './tokens.ts'

const SENTENCES = [
  'A good way to think about {topic} is to start with {noun}.',
  'Most of what we know about {topic} comes from {adjective} observation.',
  'People who have spent years with {topic} learn to respect {noun}.',
  'The story of {topic} begins with {adjective} {noun}.',
  'In practice, {noun} matters more than {other}.',
  'There is a {adjective} balance between {noun} and {other}.',
  'When {noun} changes, everything that depends on it changes too.',
  'Small things, such as {noun} or {other}, decide how it turns out.',
  'None of this is new: {noun} has always come before {other}.',
  'If you look at {topic} for long enough, a {adjective} pattern appears.',
  'It helps to separate {noun} from {other} before drawing a conclusion.',
  'What looks like {noun} from a distance is often {adjective} {other} up close.',
  'The first surprise about {topic} is how much {noun} they ask for.',
  'A {adjective} example makes the point better than a long argument.',
  'Without {noun}, even the best plan runs into {adjective} trouble.',
  'That is why so many accounts of {topic} return to {noun} in the end.'
]
const words = (list: string): readonly string[] => list.split(' ')
const NOUNS = words(
  'patience timing memory rhythm distance weather attention language light water history trust structure practice chance'
)
const ADJECTIVES = words('quiet careful steady simple delicate slow practical gentle clear familiar patient modest')
const DEFAULT_TOPICS = ['such questions', 'these things']

/** Words that look like a plural and name nothing. */
const NO_TOPIC = new Set(words('always across does has its less perhaps plus this thus was yours'))
const MAX_TOPICS = 4
/** A prompt may be huge; what it is about stands at its end. */
const TOPIC_WINDOW = 2_000

/** The plurals in a prompt: a poor reader's guess at what it is about. */
export function findTopics(prompt: string): readonly string[] {
  const plurals = prompt.slice(-TOPIC_WINDOW).match(/\b[a-z]{2,}[^\Ws]s\b/g) ?? []
  const topics = [...new Set(plurals)].filter((word) => !NO_TOPIC.has(word)).slice(0, MAX_TOPICS)
  return topics.length > 0 ? topics : DEFAULT_TOPICS
}

function fillSentence(sentence: string, topics: readonly string[], random: Random): string {
  const noun = pick(NOUNS, random)
  const others = NOUNS.filter((other) => other !== noun)
  const fill: Record<string, string> = {
    noun,
    other: pick(others, random),
    adjective: pick(ADJECTIVES, random),
    topic: pick(topics, random)
  }
  return sentence.replace(/\{(\w+)\}/g, (_, name: string) => fill[name] ?? '')
}

const MIN_SENTENCES = 5
const MAX_SENTENCES = 14
const PARAGRAPH = 4

/** A text that is written token by token. */
export interface Prose {
  /** The next token, or undefined where the text ends; it goes on for ever while `mayEnd` is false. */
  next(mayEnd: boolean): string | undefined
}

/** Writes a few paragraphs about `topics`. */
export function createProse(topics: readonly string[], random: Random): Prose {
  const length = MIN_SENTENCES + Math.floor(random() * (MAX_SENTENCES - MIN_SENTENCES + 1))
  let sentences = 0
  let tokens: readonly string[] = []
  let at = 0
  let unused: string[] = []
  const write = () => {
    // no sentence comes again before all the others have
    if (unused.length === 0) unused = [...SENTENCES]
    const [sentence] = unused.splice(Math.floor(random() * unused.length), 1)
    return fillSentence(sentence ?? '', topics, random)
  }
  return {
    next(mayEnd) {
      if (at === tokens.length) {
        if (mayEnd && sentences >= length) return undefined
        const gap = sentences === 0 ? '' : sentences % PARAGRAPH === 0 ? '\n\n' : ' '
        tokens = tokenize(gap + write())
        at = 0
        sentences += 1
      }
      return tokens[at++]
    }
  }
}
