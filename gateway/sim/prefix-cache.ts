// Knows which blocks of prompts the engine has seen lately, so that a repeated beginning needs no prefill.
import { hashText } from './random.ts'

export interface PrefixCache {
  /** How many leading tokens of a prompt are cached; the whole prompt is cached from then on. */
  match(prompt: readonly string[]): number
}

/** @param maxBlocks how many blocks are remembered; the one that was used longest ago makes room */
export function createPrefixCache(blockSize: number, maxBlocks: number): PrefixCache {
  const seen = new Set<number>()
  return {
    match(prompt) {
      // the last token is always computed: its logits are the first output
      const blocks = Math.floor((prompt.length - 1) / blockSize)
      let hash = 0
      let hits = 0
      for (let block = 0; block < blocks; block++) {
        hash = hashText(prompt.slice(block * blockSize, (block + 1) * blockSize).join('\u0000'), hash)
        if (seen.delete(hash) && hits === block) hits += 1
        seen.add(hash)
      }
      for (const oldest of seen) {
        if (seen.size <= maxBlocks) break
        seen.delete(oldest)
      }
      return hits * blockSize
    }
  }
}
