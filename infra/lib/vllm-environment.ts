// The environment variables of an engine that Sluice sets, which a stack may not set again.

export const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  'HOME',
  'HF_HOME',
  'HF_TOKEN',
  'HUGGING_FACE_HUB_TOKEN',
  'VLLM_API_KEY',
  'VLLM_CACHE_ROOT',
  'VLLM_CPU_KVCACHE_SPACE',
  'VLLM_ENGINE_READY_TIMEOUT_S',
  'VLLM_HTTP_TIMEOUT_KEEP_ALIVE',
  'VLLM_MEDIA_URL_ALLOW_REDIRECTS',
  'VLLM_NO_USAGE_STATS',
  'VLLM_PORT'
])
