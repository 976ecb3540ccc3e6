// How a client tells the engine what to answer: a few words in its prompt, which every gateway hands on as they are.

/** `pace`: `rate` tokens a second. `fire`: as fast as the reader takes them. `idle`: one token, then silence. */
export type Mode = 'pace' | 'fire' | 'idle'

export interface Order {
  readonly mode: Mode
  /** Tokens a second of a paced answer; 4 at least. */
  readonly rate: number
  /** Tokens of the whole answer. */
  readonly tokens: number
  /** The client's number for this stream. */
  readonly id: number
  /** Whether the engine remembers when it sent each token. */
  readonly log: boolean
}

/** More tokens than any round lasts. */
export const ENDLESS = 1_000_000_000

/** The order in words; without quotes, so that JSON keeps it to the byte. */
export const writeOrder = ({ mode, rate, tokens, id, log }: Order): string =>
  `bench(${mode},${rate},${tokens},${id},${log ? 1 : 0})`

/** The order in a request's body, or undefined where there is none. */
export function readOrder(body: string): Order | undefined {
  const [, mode, rate, tokens, id, log] = /bench\((pace|fire|idle),(\d+),(\d+),(\d+),([01])\)/.exec(body) ?? []
  if (mode === undefined) return undefined
  return { mode: mode as Mode, rate: Number(rate), tokens: Number(tokens), id: Number(id), log: log === '1' }
}
