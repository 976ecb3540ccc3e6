// What the engine answers besides generations: health, version, load, models, metrics.
import type { Settings } from './options.ts'

/** The vLLM release whose behaviour is simulated. */
export const VLLM_VERSION = '0.31.0'

export interface Page {
  readonly status: number
  readonly type: 'application/json' | 'text/plain'
  readonly body: string
}

/** What the pages tell. */
export interface PageSource {
  readonly settings: Settings
  /** When the engine was started, in s. */
  readonly createdS: number
  isHealthy(): boolean
  /** Requests that are being served. */
  load(): number
  metrics(): string
}

const json = (value: unknown): Page => ({ status: 200, type: 'application/json', body: JSON.stringify(value) })

function listModels({ settings, createdS: created }: PageSource): Page {
  const permission = {
    object: 'model_permission',
    created,
    allow_create_engine: false,
    allow_sampling: true,
    allow_logprobs: true,
    allow_search_indices: false,
    allow_view: true,
    allow_fine_tuning: false,
    organization: '*',
    group: null,
    is_blocking: false
  }
  const data = settings.models.map((id) => ({
    id,
    object: 'model',
    created,
    owned_by: 'vllm',
    root: settings.models[0],
    parent: null,
    max_model_len: settings.maxModelLen,
    permission: [{ id: `modelperm-${id}`, ...permission }]
  }))
  return json({ object: 'list', data })
}

const PAGES: Record<string, (source: PageSource) => Page> = {
  '/health': (source) => ({ status: source.isHealthy() ? 200 : 503, type: 'text/plain', body: '' }),
  '/ping': (source) => ({ status: source.isHealthy() ? 200 : 503, type: 'text/plain', body: '' }),
  '/version': () => json({ version: VLLM_VERSION }),
  '/load': (source) => json({ server_load: source.load() }),
  '/metrics': (source) => ({ status: 200, type: 'text/plain', body: source.metrics() }),
  '/v1/models': listModels
}

export function findPage(path: string): ((source: PageSource) => Page) | undefined {
  return Object.hasOwn(PAGES, path) ? PAGES[path] : undefined
}

/** The only prefixes that vLLM's `--api-key` guards (vllm/entrypoints/serve/middleware/authenticate.py). */
const GUARDED = ['/v1', '/v2', '/inference', '/cohere']

/** True when the request may pass. */
export function isAuthorized(path: string, authorization: string | undefined, apiKey: string | undefined): boolean {
  if (apiKey === undefined || !GUARDED.some((prefix) => path.startsWith(prefix))) return true
  const [scheme, token] = (authorization ?? '').split(' ')
  return scheme?.toLowerCase() === 'bearer' && token === apiKey
}
