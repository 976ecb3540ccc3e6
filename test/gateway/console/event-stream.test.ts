import { describe, expect, it } from 'vitest'
import { createEventReader } from '../../../gateway/console/event-stream.js'

function read(...pieces: string[]): { data: string[]; comments: string[] } {
  const seen = { data: [] as string[], comments: [] as string[] }
  const take = createEventReader({
    onData: (data) => seen.data.push(data),
    onComment: (comment) => seen.comments.push(comment)
  })
  for (const piece of pieces) take(piece)
  return seen
}

const STREAM = ': heartbeat\n\nid: 1\ndata: {"a":1}\n\ndata:two\ndata: lines\n\r\ndata: [DONE]\r\n\r\n'
const SEEN = { data: ['{"a":1}', 'two\nlines', '[DONE]'], comments: ['heartbeat'] }

describe('reading server-sent events', () => {
  it('finds events and comments', () => {
    expect(read(STREAM)).toEqual(SEEN)
  })

  it('finds the same wherever the stream is cut', () => {
    for (let at = 0; at <= STREAM.length; at++) expect(read(STREAM.slice(0, at), STREAM.slice(at))).toEqual(SEEN)
    expect(read(...STREAM)).toEqual(SEEN)
  })

  it('does not take half an event for a whole one', () => {
    expect(read('data: half\n')).toEqual({ data: [], comments: [] })
  })
})
