// The console's files: read once at the start, and served with the headers that keep any other script out of the page.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { GatewayError } from '../errors.ts'

const FOLDER = new URL('../console/', import.meta.url)
const PAGE = 'page.html'
const BELOW = '/console/'

/** What the page takes from a package, by the name that it asks for it. */
const PACKAGED: Readonly<Record<string, string>> = {
  'uplot.js': 'uplot/dist/uPlot.esm.js',
  'uplot.css': 'uplot/dist/uPlot.min.css'
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml'
}

/**
 * The page is where people type their keys. It runs scripts of this origin only, talks to this origin only, makes no markup
 * of text (trusted types), and is shown inside no other page.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join('; ')

const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  // a browser asks each time and mostly gets 304: page and scripts are then always of one release
  'cache-control': 'no-cache'
}

interface File {
  readonly bytes: Buffer
  readonly type: string
  readonly etag: string
}

/** Registers `/` and `/console/*`, which want no key: they hold nothing, and what they ask the API for needs one. */
export function registerConsoleRoutes(app: FastifyInstance): void {
  for (const [path, file] of readFiles()) {
    app.get(path, (request, reply) => send(request, reply, file))
    app.route({ method: ['DELETE', 'PATCH', 'POST', 'PUT'], url: path, onRequest: refuseMethod, handler: () => {} })
  }
}

function readFiles(): Map<string, File> {
  const own = readdirSync(FOLDER).filter((name) => extname(name) in TYPES)
  const require = (specifier: string) => new URL(import.meta.resolve(specifier))
  return new Map([
    ...own.map((name) => [name === PAGE ? '/' : `${BELOW}${name}`, readFile(new URL(name, FOLDER))] as const),
    ...Object.entries(PACKAGED).map(([name, source]) => [`${BELOW}${name}`, readFile(require(source))] as const)
  ])
}

function readFile(url: URL): File {
  const bytes = readFileSync(fileURLToPath(url))
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
  return { bytes, etag, type: TYPES[extname(url.pathname)] ?? 'application/octet-stream' }
}

function send(request: FastifyRequest, reply: FastifyReply, { bytes, type, etag }: File): FastifyReply {
  reply.headers(PAGE_HEADERS).header('etag', etag)
  // a proxy that compresses makes a weak tag of it; to a browser that asks again they are the same
  const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  if (known?.includes(etag)) return reply.code(304).send()
  return reply.type(type).send(bytes)
}

function refuseMethod(_request: FastifyRequest, reply: FastifyReply): void {
  reply.header('allow', 'GET, HEAD')
  throw new GatewayError('method_not_allowed')
}
