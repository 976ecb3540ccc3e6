// Reads one HTTP/1.1 response at a time and hands out the bytes of its body, in chunks or of a known length.

export interface ResponseVisitor {
  onStatus(status: number): void
  onPayload(bytes: Buffer, start: number, end: number): void
}

type State = 'head' | 'size' | 'data' | 'data-end' | 'last' | 'length' | 'rest' | 'done'

const CR = 0x0d
const LF = 0x0a
const MAX_SIZE_LINE = 32
const HEAD_END = '\r\n\r\n'

/** Throws where chunks are not framed as they should be: a proxy that mixes streams up must not get figures. */
export class ResponseReader {
  readonly #visitor: ResponseVisitor
  #state: State = 'head'
  #head = ''
  #size = ''
  #left = 0
  /** The CR of a line end has come, its LF has not. */
  #half = false

  constructor(visitor: ResponseVisitor) {
    this.#visitor = visitor
  }

  /** The whole response is here; `reset` makes ready for the next. */
  get done(): boolean {
    return this.#state === 'done'
  }

  reset(): void {
    this.#state = 'head'
    this.#head = ''
    this.#size = ''
    this.#half = false
  }

  push(bytes: Buffer, length: number): void {
    for (let at = 0; at < length && this.#state !== 'done'; ) at = this.#step(bytes, at, length)
  }

  #step(bytes: Buffer, at: number, length: number): number {
    if (this.#state === 'head') return this.#readHead(bytes, at, length)
    if (this.#state === 'size') return this.#readSize(bytes, at, length)
    if (this.#state === 'data') return this.#readData(bytes, at, length, 'data-end')
    if (this.#state === 'length') return this.#readData(bytes, at, length, 'done')
    if (this.#state === 'rest') {
      this.#visitor.onPayload(bytes, at, length)
      return length
    }
    return this.#readLineEnd(bytes, at)
  }

  #readLineEnd(bytes: Buffer, at: number): number {
    if (bytes[at] === CR && !this.#half) this.#half = true
    else if (bytes[at] === LF && this.#half) {
      this.#half = false
      this.#state = this.#state === 'last' ? 'done' : 'size'
    } else throw new Error('a chunk does not end where it should')
    return at + 1
  }

  #readHead(bytes: Buffer, at: number, length: number): number {
    const before = this.#head.length
    this.#head += bytes.toString('latin1', at, length)
    const end = this.#head.indexOf(HEAD_END)
    if (end === -1) return length
    const head = this.#head.slice(0, end)
    const bodyLength = /^content-length:[ \t]*(\d+)/im.exec(head)?.[1]
    this.#left = Number(bodyLength ?? 0)
    if (/^transfer-encoding:[ \t]*chunked/im.test(head)) this.#state = 'size'
    else if (bodyLength !== undefined) this.#state = this.#left === 0 ? 'done' : 'length'
    else this.#state = 'rest'
    this.#visitor.onStatus(Number(head.slice(9, 12)))
    return at + end + HEAD_END.length - before
  }

  #readSize(bytes: Buffer, at: number, length: number): number {
    const found = bytes.indexOf(LF, at)
    const end = found === -1 || found >= length ? length : found
    this.#size += bytes.toString('latin1', at, end)
    if (this.#size.length > MAX_SIZE_LINE) throw new Error('a chunk has no size')
    if (end === length) return length
    if (!/^[0-9a-f]{1,8}[ \t]*\r$/i.test(this.#size)) throw new Error('a chunk has no size')
    this.#left = Number.parseInt(this.#size, 16)
    this.#size = ''
    this.#state = this.#left === 0 ? 'last' : 'data'
    return end + 1
  }

  #readData(bytes: Buffer, at: number, length: number, next: State): number {
    const end = Math.min(length, at + this.#left)
    this.#left -= end - at
    if (this.#left === 0) this.#state = next
    this.#visitor.onPayload(bytes, at, end)
    return end
  }
}
