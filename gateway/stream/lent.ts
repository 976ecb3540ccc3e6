// Writes bytes that are only lent, without an allocation for each write: most leave at once, and a socket keeps nothing of them.
import type { Socket } from 'node:net'

/** A token's event is a few hundred bytes, one with many log probabilities a few thousand. */
const PIECE_BYTES = 4_096

/** What small writes leave from; a socket that keeps some of it keeps all of it, and the next write gets a new one. */
let piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
/** The first so many bytes of the piece, by their number: events of a stream are of few lengths. */
let beginnings = new Array<Buffer | undefined>(PIECE_BYTES + 1)

/** Writes `bytes` to the socket, which may keep a copy of them and never themselves; false when the socket is full. */
export function writeLent(socket: Socket, bytes: Buffer): boolean {
  const { length } = bytes
  // a socket that holds bytes back will hold these back as well
  const holds = socket.writableLength > 0 || socket.writableCorked > 0
  if (length > PIECE_BYTES || holds) return socket.write(Buffer.from(bytes))
  piece.set(bytes)
  beginnings[length] ??= piece.subarray(0, length)
  const more = socket.write(beginnings[length])
  if (socket.writableLength > 0) {
    piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
    beginnings = new Array(PIECE_BYTES + 1)
  }
  return more
}
