// What a warmed cache holds, where an engine finds it, and the program that puts it there.
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { isRepository } from './vllm-settings.ts'

/** The engine user's cache: below it are weights, compiled graphs and tuned kernels. */
export const CACHE_DIRECTORY = '/home/vllm/.cache'
/** `HF_HOME` inside the cache. */
export const HUB_FOLDER = 'huggingface'
/** Where an image with weights is mounted. */
export const MODEL_DIRECTORY = '/models'

/** One commit of one repository on the Hugging Face hub. */
export interface Download {
  readonly repository: string
  readonly revision: string
}

/** A LoRA adapter as a stack has it. */
export interface AdapterSource {
  /** The name that clients send. */
  readonly name: string
  /** A repository of the hub, or an absolute path in the container. */
  readonly source: string
  /** The commit; only a warmed cache can hold a certain one. @default the repository's default branch */
  readonly revision?: string
}

/** Everything that an engine would download, which therefore has to be there before it starts offline. */
export function downloadsOf(
  settings: { readonly model: string; readonly revision?: string },
  adapters: readonly AdapterSource[] = []
): Download[] {
  const sources = [
    { source: settings.model, revision: settings.revision },
    ...adapters.map(({ source, revision }) => ({ source, revision }))
  ]
  return sources.flatMap(({ source, revision }) =>
    isRepository(source) && revision !== undefined ? [{ repository: source, revision }] : []
  )
}

/** The folder of a commit in the hub's cache. Source: huggingface_hub, docs/source/en/guides/manage-cache.md. */
export function snapshotPath({ repository, revision }: Download): string {
  const folder = `models--${repository.replaceAll('/', '--')}`
  return posix.join(CACHE_DIRECTORY, HUB_FOLDER, 'hub', folder, 'snapshots', revision)
}

/** A file that is there once every download is complete: another commit, another file. */
function markerOf(downloads: readonly Download[]): string {
  const hash = createHash('sha256').update(JSON.stringify(downloads)).digest('hex').slice(0, 16)
  return posix.join(CACHE_DIRECTORY, HUB_FOLDER, 'complete', hash)
}

/**
 * Arguments: the marker, and the downloads as JSON. The library resumes what is incomplete and locks what another pod
 * is downloading. A repository often has its weights twice or more: what vLLM does not read is left out.
 */
const DOWNLOAD_PROGRAM = `
import json, os, signal, sys
from huggingface_hub import list_repo_files, snapshot_download
signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
marker, downloads = sys.argv[1], json.loads(sys.argv[2])
if os.path.exists(marker):
    print('complete already:', marker, flush=True)
    sys.exit()
for one in downloads:
    repository, revision = one['repository'], one['revision']
    files = list_repo_files(repository, revision=revision)
    unread = ['original/*', 'metal/*', 'onnx/*', '*.onnx', '*.h5', '*.msgpack', '*.gguf']
    if any(name.endswith('.safetensors') for name in files):
        unread += ['*.bin', '*.pt', '*.pth']
    print('downloading', repository, 'at', revision, flush=True)
    snapshot_download(repository, revision=revision, ignore_patterns=unread)
os.makedirs(os.path.dirname(marker), exist_ok=True)
with open(marker, 'w') as file:
    json.dump(downloads, file)
print('complete:', marker, flush=True)
`.trimStart()

/** The command that fills a cache; the image needs Python with huggingface_hub, as each image of vLLM has it. */
export function downloadCommand(downloads: readonly Download[]): string[] {
  return ['python3', '-c', DOWNLOAD_PROGRAM, markerOf(downloads), JSON.stringify(downloads)]
}

/** The command that ends when a cache is complete. A shell that is process 1 dies of SIGTERM only if it says so. */
export function waitCommand(downloads: readonly Download[]): string[] {
  const script =
    'trap "exit 143" TERM; until [ -f "$0" ]; do echo "waiting for the warm-up to write $0"; sleep 10 & wait $!; done'
  return ['sh', '-c', script, markerOf(downloads)]
}
