// How chunks end: behind the texts, engines write the same fields in the same order, so a known tail tells what an event is.

const OPEN_BRACE = 0x7b
const COLON = 0x3a

const MOST_TAIL_BYTES = 160
/** A deployment has as many tails as it has kinds of engines; whoever sends others has all of them made anew. */
const MOST_TAILS = 64
const tails = new Map<string, Buffer>()

/**
 * The end of the event in `run`, from its last `finish_reason` on, which must be `reason`, or null where that is undefined;
 * undefined where it ends otherwise.
 */
export function readTail(run: Buffer, start: number, end: number, reason: string | undefined): string | undefined {
  const from = `"finish_reason":${reason === undefined ? 'null' : `"${reason}"`}`
  const at = run.subarray(start, end).lastIndexOf(from)
  return at === -1 || end - start - at > MOST_TAIL_BYTES ? undefined : run.toString('latin1', start + at, end)
}

/** The bytes of a tail, once for all streams: a small buffer of each would keep the whole slab that it was cut from. */
export function keepTail(text: string): Buffer {
  const known = tails.get(text)
  if (known !== undefined) return known
  if (tails.size === MOST_TAILS) tails.clear()
  const tail = Buffer.from(text, 'latin1')
  tails.set(text, tail)
  return tail
}

/** A tail that says the same in any answer. */
export interface SharedTail {
  readonly bytes: Buffer
  /** Why an answer with this tail finishes; undefined where it goes on. */
  readonly reason: string | undefined
}

/** Those of the answers before: role chunks, tokens and finishes of a few engines; all anew where there were so many. */
const shared: SharedTail[] = []
const MOST_SHARED = 16

/** Of all fields only null, for a client may have chosen a stop reason, and counts are others each time; and the engine's version. */
const FIELD = '(?:,"[a-z_]+":null|,"system_fingerprint":"[\\w.+-]{0,64}")'
const SHAREABLE = new RegExp(`^"finish_reason":(?:null|"[a-z_]+")${FIELD}*\\}\\]${FIELD}*\\}\\n\\n$`)

/** Keeps a tail for other answers, where it is one that engines write and no client had a hand in. */
export function shareTail(text: string, reason: string | undefined): void {
  if (!SHAREABLE.test(text)) return
  const bytes = Buffer.from(text, 'latin1')
  if (shared.some((tail) => tail.bytes.equals(bytes))) return
  if (shared.length === MOST_SHARED) shared.length = 0
  shared.push({ bytes, reason })
}

/** Which of the shared tails an event has. */
export function findTail(run: Buffer, start: number, end: number): SharedTail | undefined {
  for (const tail of shared) if (endsWith(run, start, end, tail.bytes)) return tail
  return undefined
}

/** Compares from the back: two events differ, if at all, near their end. */
export function endsWith(run: Buffer, start: number, end: number, tail: Buffer): boolean {
  let at = end - tail.length
  // `data: {` comes before the tail; an event as short as its tail is not one
  if (at <= start || run[start] === COLON) return false
  for (let i = 0; i < tail.length; i++) if (run[at++] !== tail[i]) return false
  return run[start + 6] === OPEN_BRACE || run[start + 5] === OPEN_BRACE
}
