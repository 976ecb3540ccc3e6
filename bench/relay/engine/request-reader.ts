// Reads HTTP/1.1 requests from a connection: head, then a body of a known length or in chunks.

/** One request as a proxy sent it. */
export interface Request {
  readonly method: string
  readonly path: string
  readonly body: string
}

const MAX_BYTES = 4_194_304
const HEAD_END = '\r\n\r\n'

/** Collects bytes until a request is whole. Requests come one at a time here, so copying them is cheap enough. */
export class RequestReader {
  #bytes: Buffer = Buffer.alloc(0)

  /** The next whole request, or undefined while it lacks bytes; throws for what is no request. */
  push(bytes: Buffer): Request | undefined {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
    if (this.#bytes.length > MAX_BYTES) throw new Error('a request is too large')
    const headEnd = this.#bytes.indexOf(HEAD_END)
    if (headEnd === -1) return undefined
    const head = this.#bytes.toString('latin1', 0, headEnd)
    const start = headEnd + HEAD_END.length
    const [, method, path] = /^([A-Z]+) (\S+) HTTP\/1\.[01](?:\r|$)/.exec(head) ?? []
    if (method === undefined || path === undefined) throw new Error('a request line is not readable')
    const body = /^transfer-encoding:[ \t]*chunked[ \t]*$/im.test(head)
      ? this.#takeChunks(start)
      : this.#take(start, Number(/^content-length:[ \t]*(\d+)[ \t]*$/im.exec(head)?.[1] ?? 0))
    return body === undefined ? undefined : { method, path, body }
  }

  #take(start: number, length: number): string | undefined {
    const end = start + length
    if (this.#bytes.length < end) return undefined
    const body = this.#bytes.toString('utf8', start, end)
    this.#bytes = this.#bytes.subarray(end)
    return body
  }

  #takeChunks(start: number): string | undefined {
    const parts: Buffer[] = []
    for (let at = start; ; ) {
      const lineEnd = this.#bytes.indexOf('\r\n', at)
      if (lineEnd === -1) return undefined
      const size = Number.parseInt(this.#bytes.toString('latin1', at, lineEnd), 16)
      if (!(size >= 0)) throw new Error('a chunk of a request is not readable')
      const end = lineEnd + 2 + size
      if (this.#bytes.length < end + 2) return undefined
      if (size === 0) {
        this.#bytes = this.#bytes.subarray(end + 2)
        return Buffer.concat(parts).toString('utf8')
      }
      parts.push(this.#bytes.subarray(lineEnd + 2, end))
      at = end + 2
    }
  }
}
