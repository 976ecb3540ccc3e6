// One line of progress on stderr: rewritten in place on a terminal, a line a step elsewhere.

export interface Progress {
  /** A step of the plan begins. */
  step(text: string): void
  /** Something that a reader should still see later. */
  note(text: string): void
  done(): void
}

const CLEAR_LINE = '\r\u001b[K'

export function createProgress(stream: NodeJS.WriteStream, total: number): Progress {
  const startMs = performance.now()
  let step = 0
  let shown = false
  const clear = () => {
    if (shown) stream.write(CLEAR_LINE)
    shown = false
  }
  return {
    step(text) {
      step++
      const minutes = Math.floor((performance.now() - startMs) / 60_000)
      const seconds = String(Math.floor(((performance.now() - startMs) / 1000) % 60)).padStart(2, '0')
      const line = `${minutes}:${seconds} ${step}/${total} ${text}`
      shown = stream.isTTY === true
      stream.write(shown ? `${CLEAR_LINE}${line.slice(0, Math.max(20, stream.columns - 1))}` : `${line}\n`)
    },
    note(text) {
      clear()
      stream.write(`${text}\n`)
    },
    done: clear
  }
}
