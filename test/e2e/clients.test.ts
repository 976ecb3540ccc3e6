// Runs each program of docs/clients.md, and each that the console writes, against a gateway over simulated engines.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { languagesOf, writeSnippet } from '../../gateway/console/snippets.js'
import { KEY, MODEL, startGateway, type TestGateway, until } from '../helpers/gateway.ts'
import { isMissing } from '../helpers/program.ts'
import { PYTHON, runSnippet } from '../helpers/snippet.ts'

interface Snippet {
  readonly title: string
  readonly language: string
  readonly code: string
}

/** The programs of a page, each under the heading above it. */
function readSnippets(path: string): Snippet[] {
  const sections = readFileSync(path, 'utf8').split(/^## /m).slice(1)
  return sections.flatMap((section) => {
    const title = section.slice(0, section.indexOf('\n'))
    return [...section.matchAll(/^```(js|python)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({
      title,
      language,
      code
    }))
  })
}

const remedy = "python3 -m venv .cache/python && .cache/python/bin/pip install 'openai[realtime]'"
const lacksPython = isMissing(PYTHON, 'snippets in Python', remedy)
const canRun = ({ language }: { language: string }) => language !== 'python' || !lacksPython

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway({
    // an answer goes so far and no further, so that whoever stops it does so before its end, however late
    engines: [{ faults: [{ kind: 'stall', afterTokens: 55 }] }],
    pool: { models: [{ name: MODEL, maxOutputTokens: 2_000 }] }
  })
})
afterAll(() => gateway[Symbol.asyncDispose]())

const stats = () => gateway.engines[0]?.stats ?? { requests: 0, aborted: 0, running: 0 }

describe('docs/clients.md', () => {
  const snippets = readSnippets('docs/clients.md')

  it('has a program for each way', () => {
    expect(snippets.map(({ title }) => title)).toEqual([
      'OpenAI, JavaScript',
      'OpenAI, Python',
      'Vercel AI SDK',
      'fetch and ReadableStream',
      'EventSource',
      'WebSocket'
    ])
  })

  for (const snippet of snippets.filter(canRun)) {
    const run = (key: string) =>
      runSnippet(snippet.language, snippet.code, { SLUICE_URL: gateway.address, SLUICE_KEY: key })

    it(`${snippet.title}: streams, stops where it says, and the engine stops with it`, async () => {
      const { requests, aborted } = stats()
      const { code, stdout, stderr } = await run(KEY)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout.length).toBeGreaterThan(200)
      expect(stdout.length).toBeLessThan(300)
      await until('the engine notices', () => stats().running === 0 && stats().aborted > aborted)
      expect(stats()).toMatchObject({ requests: requests + 1, aborted: aborted + 1 })
    })

    it(`${snippet.title}: does not hide that the key is wrong`, async () => {
      const { stdout, code, stderr } = await run('sk-wrong')
      expect(stdout).toBe('')
      expect(code !== 0 || stderr !== '').toBe(true)
    })
  }
})

describe('the console’s code', () => {
  const body = {
    model: MODEL,
    messages: [{ role: 'user' as const, content: `It's "quoted", with $HOME and \\ and a line\nmore: ü 🏞` }],
    stream: true as const,
    max_tokens: 20
  }
  const all = (['sse', 'websocket', 'event-source'] as const).flatMap((transport) =>
    languagesOf(transport).map((language) => ({ transport, language }))
  )

  it.each(all.filter(canRun))('in $language over $transport asks just what the page would', async (snippet) => {
    const { requests } = stats()
    const { transport, language } = snippet
    const code = writeSnippet(transport, language, { origin: gateway.address, body })
    const { code: status, stdout, stderr } = await runSnippet(language, code, { SLUICE_KEY: KEY })
    expect({ status, stdout: stdout.length > 20 }, stderr).toEqual({ status: 0, stdout: true })
    expect(stats().requests).toBe(requests + 1)
    const sent = gateway.engines[0]?.stats.recent.at(-1)?.body as typeof body
    expect({ messages: sent.messages, max_tokens: sent.max_tokens }).toEqual({
      messages: body.messages,
      max_tokens: 20
    })
  })
})
