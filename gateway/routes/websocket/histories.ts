// What has been said on connections, so that a client need send new input only: one response a lane, in bounded memory.

/** One response: all of its input, and its output as soon as there is one. */
export interface Turn {
  /** Items of JSON with commas between. Undefined once they have been forgotten. */
  items: Buffer | undefined
}

/** The turns of all connections. What was used longest ago is forgotten first: its client sends its whole input again. */
export class Histories {
  readonly #maxBytes: number
  /** By their age since they were used. */
  readonly #turns = new Set<Turn>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** How much is held. */
  get bytes(): number {
    return this.#bytes
  }

  add(turn: Turn): void {
    this.#turns.add(turn)
    this.#bytes += turn.items?.length ?? 0
    for (const oldest of this.#turns) {
      if (this.#bytes <= this.#maxBytes) return
      this.forget(oldest)
    }
  }

  /** The items of a turn, which is the youngest now. */
  use(turn: Turn): Buffer | undefined {
    if (this.#turns.delete(turn)) this.#turns.add(turn)
    return turn.items
  }

  forget(turn: Turn): void {
    if (!this.#turns.delete(turn)) return
    this.#bytes -= turn.items?.length ?? 0
    turn.items = undefined
  }
}

/** The turns of one connection: those that are under way, and the newest of each lane. */
export class ConnectionHistory {
  readonly #histories: Histories
  readonly #underWay = new Set<Turn>()
  readonly #newest = new Map<string | undefined, { readonly id: string; readonly turn: Turn }>()

  constructor(histories: Histories) {
    this.#histories = histories
  }

  /** The response's items, whichever lane it came on; undefined where it is not known any more. */
  find(id: string): Buffer | undefined {
    for (const newest of this.#newest.values()) if (newest.id === id) return this.#histories.use(newest.turn)
    return undefined
  }

  /** A response begins. Its input counts from now on, and may be forgotten like any other. */
  begin(items: Buffer | undefined): Turn {
    const turn = { items }
    this.#underWay.add(turn)
    this.#histories.add(turn)
    return turn
  }

  /** A response has ended as it should: it is the newest of its lane now, in place of the one before. */
  keep(lane: string | undefined, begun: Turn, id: string, output: Buffer): void {
    const { items } = begun
    this.drop(begun)
    this.#forgetLane(lane)
    if (items === undefined) return
    const turn = { items: joinItems(items, output) }
    this.#newest.set(lane, { id, turn })
    this.#histories.add(turn)
  }

  /** A response has ended otherwise. */
  drop(begun: Turn): void {
    this.#underWay.delete(begun)
    this.#histories.forget(begun)
  }

  /** A lane could not go on from this response, and will not; other lanes' stay. */
  forget(lane: string | undefined, id: string): void {
    if (this.#newest.get(lane)?.id === id) this.#forgetLane(lane)
  }

  clear(): void {
    for (const turn of [...this.#underWay]) this.drop(turn)
    for (const lane of [...this.#newest.keys()]) this.#forgetLane(lane)
  }

  #forgetLane(lane: string | undefined): void {
    const newest = this.#newest.get(lane)
    if (newest !== undefined) this.#histories.forget(newest.turn)
    this.#newest.delete(lane)
  }
}

const COMMA = Buffer.from(',')
const NOTHING = Buffer.alloc(0)

/** Both lists of items in one, with commas between. */
export function joinItems(first: Buffer, second: Buffer): Buffer {
  const comma = first.length === 0 || second.length === 0 ? NOTHING : COMMA
  // it is kept, and a few bytes of the pool would keep 64 KiB alive that nobody counts
  const joined = Buffer.allocUnsafeSlow(first.length + comma.length + second.length)
  let at = 0
  for (const part of [first, comma, second]) at += part.copy(joined, at)
  return joined
}
