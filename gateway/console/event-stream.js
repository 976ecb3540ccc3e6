// Reads server-sent events from text that may be cut anywhere.

/**
 * @typedef {object} EventListeners
 * @property {(data: string) => void} onData the data of one event
 * @property {(comment: string) => void} onComment a line that carries none; the gateway writes its figures as one
 */

/**
 * @param {EventListeners} on
 * @returns {(text: string) => void} takes the next piece of the stream
 */
export function createEventReader(on) {
  let rest = ''
  /** @type {string[]} */
  let data = []
  /** @param {string} line */
  const read = (line) => {
    if (line === '') {
      if (data.length > 0) on.onData(data.join('\n'))
      data = []
    } else if (line.startsWith(':')) on.onComment(line.slice(1).trim())
    else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5))
  }
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) read(line.endsWith('\r') ? line.slice(0, -1) : line)
  }
}
