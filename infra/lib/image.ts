// Reads a container image reference and says why it is not pinned.

/** An image reference in its parts. */
export interface ImageReference {
  readonly repository: string
  readonly tag?: string
  readonly digest?: string
}

const REFERENCE =
  /^(?<repository>(?:[a-z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/

/** Tags that name other bytes tomorrow, also with something behind them, as `latest-cu129`. */
export const MOVING_TAGS = [
  'latest',
  'nightly',
  'main',
  'master',
  'edge',
  'stable',
  'dev',
  'develop',
  'canary',
  'head',
  'trunk'
] as const
const MOVING_TAG = new RegExp(`^(${MOVING_TAGS.join('|')})\\b`, 'i')

/** The parts of a reference, or undefined when it isn't one. */
export function parseImage(reference: string): ImageReference | undefined {
  const groups = REFERENCE.exec(reference)?.groups
  if (groups?.repository === undefined) return undefined
  const { repository, tag, digest } = groups
  return { repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) }
}

/** What keeps a reference from naming the same bytes tomorrow, or undefined when it is pinned. */
export function findImageProblem(reference: string): string | undefined {
  const image = parseImage(reference)
  if (image === undefined) return 'use repository:tag or repository@sha256:<64 hex digits>'
  if (image.digest !== undefined) return undefined
  if (image.tag === undefined) return `${reference} has no tag, which means latest; pin a version or a digest`
  if (MOVING_TAG.test(image.tag)) {
    return `the tag ${image.tag} moves; pin a version or a digest`
  }
  return undefined
}

/** What the version label says: the tag, or the start of the digest. */
export function versionOf(reference: string): string {
  const image = parseImage(reference)
  return image?.tag ?? image?.digest?.slice('sha256:'.length, 'sha256:'.length + 12) ?? 'unknown'
}
