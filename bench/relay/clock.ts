// One monotonic clock in microseconds that all processes of the bench share, and its short form that rides in every token.

/** How far Node's `performance.now()`, which counts from the process's start, is from the machine's monotonic clock. */
function findOffsetUs(): number {
  let best = { gapUs: Number.POSITIVE_INFINITY, offsetUs: 0 }
  // the first calls take milliseconds; the tightest of many pairs counts
  for (let i = 0; i < 1_000; i++) {
    const beforeUs = performance.now() * 1000
    const machineUs = Number(process.hrtime.bigint()) / 1000
    const gapUs = performance.now() * 1000 - beforeUs
    if (gapUs < best.gapUs) best = { gapUs, offsetUs: machineUs - beforeUs - gapUs / 2 }
  }
  return best.offsetUs
}
const offsetUs = findOffsetUs()

/** Microseconds of the machine's monotonic clock, the same in every process. */
export const nowUs = (): number => performance.now() * 1000 + offsetUs

/** A stamp is the clock's last ten digits: it repeats after 10,000 s, and no token is under way for so long. */
export const STAMP_DIGITS = 10
export const STAMP_MODULUS = 10 ** STAMP_DIGITS

/** After its stamp a token has its stream's number, so that one that reaches a wrong reader is noticed. */
export const ID_DIGITS = 5
export const ID_MODULUS = 10 ** ID_DIGITS

/** What marks stamp and number in the text of a token; it stands nowhere else in an answer. */
export const STAMP_MARK = 0x40

/** Microseconds between a stamp and `atUs`. */
export function sinceStamp(stamp: number, atUs: number): number {
  const since = (atUs % STAMP_MODULUS) - stamp
  return since < -STAMP_MODULUS / 2 ? since + STAMP_MODULUS : since
}
