// A set for members that come and go all the time: each knows its place, so both cost nothing and leave nothing behind.

/** A member keeps its place for the roster; -1 while it is in none. */
export interface Member {
  place: number
}

/**
 * JavaScript's own `Set` is rebuilt again and again under such a change, and the tables that it leaves are chained to the
 * next ones: once the first has grown old, whatever was in any of them outlives its scavenge. With requests in it that
 * made every request's objects, all of them, wait for a full collection (V8 13.6).
 */
export class Roster<T extends Member> {
  readonly #members: T[] = []

  get size(): number {
    return this.#members.length
  }

  add(member: T): void {
    member.place = this.#members.push(member) - 1
  }

  /** Removes a member; one that is not in it is left alone. */
  delete(member: T): void {
    const { place } = member
    if (this.#members[place] !== member) return
    const last = this.#members.pop() as T
    if (last !== member) {
      this.#members[place] = last
      last.place = place
    }
    member.place = -1
  }

  /** Visits every member. Any may be removed meanwhile; another that takes its place may then be visited twice. */
  visit(visitor: (member: T) => void): void {
    for (let place = this.#members.length - 1; place >= 0; place--) {
      const member = this.#members[place]
      if (member !== undefined) visitor(member)
    }
  }
}
