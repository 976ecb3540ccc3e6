// Transcriptions and translations as vLLM writes them, field by field, chunk by chunk.
import type { AnswerHead, Frames } from './frames.ts'

/** @see vllm/entrypoints/speech_to_text/base/serving.py of vLLM's main branch */
export function createTranscriptionFrames(
  { id, created, model }: AnswerHead,
  kind: 'transcription' | 'translation',
  seconds: number
): Frames {
  const head = { id, object: `${kind}.chunk`, created, model }
  return {
    opening: () => undefined,
    chunk(_index, { text, finishReason, stopReason }, usage) {
      const ended = finishReason === null ? {} : { finish_reason: finishReason, stop_reason: stopReason }
      return { ...head, choices: [{ delta: { content: text }, ...ended }], ...(usage && { usage }) }
    },
    usage: (usage) => ({ ...head, choices: [], usage }),
    whole: (choices) => ({
      text: choices.map(({ text }) => text).join(''),
      ...(kind === 'transcription' && { usage: { type: 'duration', seconds } })
    })
  }
}
