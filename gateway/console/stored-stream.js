// Remembers a running stream across a reload of the tab: its signed URL and what was asked, and never the key.

const NAME = 'sluice.stream'

/** @typedef {{ url: string, model: string, messages: readonly import('./ask.js').Message[] }} StoredStream */

/** @param {StoredStream} stream */
export function storeStream(stream) {
  // storage may be full or forbidden: the answer then comes all the same, and a reload loses it
  try {
    sessionStorage.setItem(NAME, JSON.stringify(stream))
  } catch {}
}

/** @returns {StoredStream | undefined} */
export function readStoredStream() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(NAME) ?? 'null')
    return Array.isArray(stored?.messages) && typeof stored.url === 'string' ? stored : undefined
  } catch {
    return undefined
  }
}

export function forgetStream() {
  try {
    sessionStorage.removeItem(NAME)
  } catch {}
}
