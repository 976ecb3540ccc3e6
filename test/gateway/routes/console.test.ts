import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { jsonOf } from '../../helpers/client.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway({ config: { console: true } })
})
afterAll(() => gateway[Symbol.asyncDispose]())

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${gateway.address}${path}`, { method, headers })

/** Every file that the page or one of its modules asks for, the page first. */
async function walk(path: string, seen = new Map<string, Response>()): Promise<Map<string, Response>> {
  if (seen.has(path)) return seen
  const response = await get(path)
  seen.set(path, response.clone())
  const text = await response.text()
  const named = [...text.matchAll(/(?:src|href)="(console\/[^"]+)"|from '\.\/([^']+)'/g)]
  for (const [, fromPage, fromModule] of named) await walk(`/${fromPage ?? `console/${fromModule}`}`, seen)
  return seen
}

describe('the console', () => {
  it('is complete: whatever page and modules ask for is served, as what it is', async () => {
    const files = await walk('/')
    const types = [...files].map(([path, { status, headers }]) => [path, status, headers.get('content-type')])
    expect(types.length).toBeGreaterThan(15)
    for (const [path, status, type] of types) {
      const extension = String(path).split('.')[1] ?? 'html'
      const expected = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }[extension]
      expect([path, status]).toEqual([path, 200])
      expect(type).toContain(expected)
    }
    expect([...files.keys()]).toContain('/console/uplot.js')
  })

  it('forbids every script, style, connection and frame that is not of its own origin', async () => {
    for (const path of ['/', '/console/console.js']) {
      const { headers } = await get(path)
      const policy = headers.get('content-security-policy')?.split('; ')
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("script-src 'self'")
      expect(policy).toContain("connect-src 'self'")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy?.join()).not.toMatch(/unsafe|https?:|\*/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
    }
  })

  it('has nothing inline that the policy would have to allow', async () => {
    const page = await (await get('/')).text()
    expect(page).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?:/)
  })

  it('is asked for again each time, and answers 304 to a browser that has it, compressed on the way or not', async () => {
    const first = await get('/')
    const etag = first.headers.get('etag') ?? ''
    expect(first.headers.get('cache-control')).toBe('no-cache')
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const again = await get('/', { 'if-none-match': known })
      expect([again.status, await again.text()]).toEqual([304, ''])
      expect(again.headers.get('content-security-policy')).toContain("default-src 'none'")
    }
    expect((await get('/', { 'if-none-match': '"other"' })).status).toBe(200)
  })

  it('takes GET and HEAD only', async () => {
    const head = await get('/', {}, 'HEAD')
    expect([head.status, await head.text()]).toEqual([200, ''])
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const response = await get('/console/console.js', {}, method)
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
      expect((await jsonOf(response)).error.code).toBe('method_not_allowed')
    }
  })

  it('serves its own files only', async () => {
    for (const path of [
      '/console/tsconfig.json',
      '/console/uplot.d.ts',
      '/console/',
      '/console/..%2fapp.ts',
      '/page.html'
    ])
      expect([path, (await get(path)).status]).toEqual([path, 404])
  })

  it('is not there unless it is asked for', async () => {
    await using plain = await startGateway()
    for (const path of ['/', '/console/console.js']) {
      const response = await fetch(`${plain.address}${path}`)
      expect(response.status).toBe(404)
      expect((await jsonOf(response)).error.code).toBe('unknown_url')
    }
  })
})
