// Those who wait for the engines of one pool, and whose turn is next.

/** Told to whoever has its turn, once, when it stands in line no more. */
export type OnTurn = () => void

/** For so long stands aside who must not go to an engine again at once, in ms. */
const PAUSE_MS = 500

/** Nobody is told twice, and nobody who has left. */
export class Line {
  readonly #waiting = new Set<OnTurn>()
  /** Those who had a turn and found full engines. */
  readonly #returned = new Set<OnTurn>()
  /** Those who will be among them after a pause, and hold up nobody until then. */
  readonly #pausing = new Map<OnTurn, NodeJS.Timeout>()
  #wasReturned = false

  get length(): number {
    return this.ready + this.#pausing.size
  }

  /** How many would go now if there were room. */
  get ready(): number {
    return this.#waiting.size + this.#returned.size
  }

  /** Whether somebody would go now who has had a turn before. */
  get hasReturned(): boolean {
    return this.#returned.size > 0
  }

  add(onTurn: OnTurn): void {
    this.#waiting.add(onTurn)
  }

  /** Adds one that had its turn: it stands before those that had none, but for every other turn, which is theirs. */
  addAgain(onTurn: OnTurn): void {
    this.#returned.add(onTurn)
  }

  /** The same after a pause, when `onReady` is told. */
  addLater(onTurn: OnTurn, onReady: () => void): void {
    const endPause = () => {
      this.#pausing.delete(onTurn)
      this.addAgain(onTurn)
      onReady()
    }
    this.#pausing.set(onTurn, setTimeout(endPause, PAUSE_MS))
  }

  delete(onTurn: OnTurn): void {
    this.#waiting.delete(onTurn)
    this.#returned.delete(onTurn)
    clearTimeout(this.#pausing.get(onTurn))
    this.#pausing.delete(onTurn)
  }

  /**
   * Takes the one whose turn it is out of the line. An engine may refuse one request for long and take others, so those that
   * return must not keep everybody else waiting.
   */
  takeNext(): OnTurn | undefined {
    const [first, second] = this.#wasReturned ? [this.#waiting, this.#returned] : [this.#returned, this.#waiting]
    const part = first.size > 0 ? first : second
    const [next] = part
    if (next === undefined) return undefined
    this.#wasReturned = part === this.#returned
    part.delete(next)
    return next
  }
}
