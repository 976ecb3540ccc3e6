// The request as code that runs elsewhere, pure. The key is a variable of the environment, and never the one on the page.

/** @typedef {'curl' | 'javascript' | 'python'} Language */
/** @typedef {'sse' | 'websocket' | 'event-source'} TransportName */
/** @typedef {{ origin: string, body: import('./ask.js').Body }} Request `origin` without a slash at its end */

/** @param {unknown} value */
const json = (value) => JSON.stringify(value, null, 2)

/** Text for a POSIX shell: in single quotes, which nothing but themselves gets out of. */
const quote = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`

/**
 * JSON is JavaScript, and Python but for three words.
 *
 * @param {unknown} value
 * @returns {string}
 */
function python(value) {
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (value === null || value === undefined) return 'None'
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`
  if (typeof value !== 'object') return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([name, inner]) => `${JSON.stringify(name)}: ${python(inner)}`)
    .join(', ')}}`
}

const HEADERS = `  -H "Authorization: Bearer $SLUICE_KEY" \\
  -H 'Content-Type: application/json'`

/** @type {Readonly<Record<TransportName, Partial<Record<Language, (request: Request) => string>>>>} */
const SNIPPETS = {
  sse: {
    curl: ({ origin, body }) => `curl -N ${origin}/v1/chat/completions \\
${HEADERS} \\
  -d ${quote(json(body))}`,
    javascript: ({ origin, body }) => `// npm install openai
import OpenAI from 'openai'

const client = new OpenAI({ baseURL: '${origin}/v1', apiKey: process.env.SLUICE_KEY })
const stream = await client.chat.completions.create(${json(body)})
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? '')
}`,
    python: ({ origin, body }) => `# pip install openai
import os
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["SLUICE_KEY"])
stream = client.chat.completions.create(
${Object.entries(body)
  .map(([name, value]) => `    ${name}=${python(value)},`)
  .join('\n')}
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`
  },
  websocket: {
    javascript: ({ origin, body }) => `const url = '${origin.replace(/^http/, 'ws')}/v1/chat/completions'
const key = \`openai-insecure-api-key.\${process.env.SLUICE_KEY}\`
const socket = new WebSocket(url, ['sluice', key])
const body = ${json(body)}
socket.onopen = () => socket.send(JSON.stringify({ type: 'create', id: 'a', body }))
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data)
  if (message.type === 'chunk') process.stdout.write(message.data.choices[0]?.delta?.content ?? '')
  if (message.type === 'error') console.error(message.error.message)
  if (message.type === 'done' || message.type === 'error') socket.close()
}`,
    python: ({ origin, body }) => `# pip install websockets
import json, os
from websockets.sync.client import connect

headers = {"Authorization": f"Bearer {os.environ['SLUICE_KEY']}"}
body = ${python(body)}
with connect("${origin.replace(/^http/, 'ws')}/v1/chat/completions", additional_headers=headers) as socket:
    socket.send(json.dumps({"type": "create", "id": "a", "body": body}))
    for message in map(json.loads, socket):
        if message["type"] == "chunk" and message["data"]["choices"]:
            print(message["data"]["choices"][0]["delta"].get("content") or "", end="", flush=True)
        elif message["type"] in ("done", "error"):
            break`
  },
  'event-source': {
    curl: ({ origin, body }) => `path=$(curl -s ${origin}/v1/streams \\
${HEADERS} \\
  -d ${quote(json({ endpoint: '/v1/chat/completions', body }))} | sed 's/.*"url":"\\([^"]*\\)".*/\\1/')
curl -N "${origin}$path"`,
    javascript: ({ origin, body }) => `// in Node: npm install eventsource
import { EventSource } from 'eventsource'

const begun = await fetch('${origin}/v1/streams', {
  method: 'POST',
  headers: { authorization: \`Bearer \${process.env.SLUICE_KEY}\`, 'content-type': 'application/json' },
  body: JSON.stringify(${json({ endpoint: '/v1/chat/completions', body })})
})
const { url } = await begun.json()
const source = new EventSource(new URL(url, '${origin}'))
source.onmessage = ({ data }) => {
  if (data === '[DONE]') return source.close()
  process.stdout.write(JSON.parse(data).choices?.[0]?.delta?.content ?? '')
}`
  }
}

/**
 * The languages that there is code in for a transport, the first one first.
 *
 * @param {TransportName} transport
 */
export function languagesOf(transport) {
  return /** @type {Language[]} */ (Object.keys(SNIPPETS[transport]))
}

/**
 * @param {TransportName} transport
 * @param {Language} language one of `languagesOf(transport)`; another one gets the first of them
 * @param {Request} request
 */
export function writeSnippet(transport, language, request) {
  const write = SNIPPETS[transport][language] ?? Object.values(SNIPPETS[transport])[0]
  return write?.(request) ?? ''
}
