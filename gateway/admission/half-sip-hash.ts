// HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein, https://github.com/veorq/SipHash): a keyed hash of short input.

/** The two halves of a hash, each a signed 32-bit number. */
export interface Tag {
  low: number
  high: number
}

/** @param secret at least 8 bytes, of which the first 8 are the key */
export function createHalfSipHash(secret: Buffer): (bytes: Buffer, start: number, end: number, tag: Tag) => void {
  const [key0, key1] = [secret.readInt32LE(0), secret.readInt32LE(4)]
  const v = new Int32Array(4)
  return (bytes, start, end, tag) => {
    v[0] = key0
    v[1] = key1 ^ 0xee
    v[2] = 0x6c796765 ^ key0
    v[3] = 0x74656462 ^ key1
    let word = 0
    let shift = 0
    for (let i = start; i < end; i++) {
      word |= (bytes[i] as number) << shift
      shift += 8
      if (shift < 32) continue
      compress(v, word)
      word = shift = 0
    }
    compress(v, word | ((end - start) << 24))
    v[2] ^= 0xee
    mix(v, 4)
    tag.low = v[1] ^ v[3]
    v[1] ^= 0xdd
    mix(v, 4)
    tag.high = v[1] ^ v[3]
  }
}

function compress(v: Int32Array, word: number): void {
  v[3] = (v[3] as number) ^ word
  mix(v, 2)
  v[0] = (v[0] as number) ^ word
}

const rotate = (value: number, by: number) => (value << by) | (value >>> (32 - by))

function mix(v: Int32Array, rounds: number): void {
  let v0 = v[0] as number
  let v1 = v[1] as number
  let v2 = v[2] as number
  let v3 = v[3] as number
  for (let round = 0; round < rounds; round++) {
    v0 = (v0 + v1) | 0
    v1 = rotate(v1, 5) ^ v0
    v0 = rotate(v0, 16)
    v2 = (v2 + v3) | 0
    v3 = rotate(v3, 8) ^ v2
    v0 = (v0 + v3) | 0
    v3 = rotate(v3, 7) ^ v0
    v2 = (v2 + v1) | 0
    v1 = rotate(v1, 13) ^ v2
    v2 = rotate(v2, 16)
  }
  v[0] = v0
  v[1] = v1
  v[2] = v2
  v[3] = v3
}
