/** A folder as a web site, asked by raw requests over a real socket: what is served, and that nothing outside of it ever is. */
import { mkdirSync, symlinkSync, writeFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { findFile } from '../../src/folder/find-file.ts'
import { createFolderServer } from '../../src/folder/folder-server.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange, type ExchangeOptions, type Outcome } from '../support/exchange.ts'
import { listen } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'

const base = tempDir()
const root = join(base, 'site')
let port = 0
let openPort = 0

const get = (path: string, options: ExchangeOptions = {}): Promise<Outcome> => exchange(port, { path, ...options })

beforeAll(async () => {
  for (const folder of ['', 'sub', 'list', 'list/inner', '.git', '.well-known']) mkdirSync(join(root, folder), { recursive: true })
  const write = (path: string, text: string): void => writeFileSync(join(base, path), text)
  write('secret.txt', 'secret')
  write('site/index.html', '<h1>home</h1>')
  write('site/sub/index.html', 'sub')
  write('site/data.json', '{}')
  write('site/0-9', '0123456789')
  write('site/list/a & <b>.txt', 'odd name')
  write('site/list/100%.txt', 'percent')
  write('site/.env', 'secret')
  write('site/.git/config', 'secret')
  write('site/.well-known/x', 'known')
  utimesSync(join(root, '0-9'), 1_600_000_000, 1_600_000_000)
  symlinkSync('../secret.txt', join(root, 'out'))
  symlinkSync('..', join(root, 'up'))
  symlinkSync('sub', join(root, 'in'))
  symlinkSync('.env', join(root, 'env'))
  symlinkSync('loop', join(root, 'loop'))
  const server = await createFolderServer({ path: root, showsHidden: false })
  port = await listen(server)
  const open = await createFolderServer({ path: join(base, 'site'), showsHidden: true })
  openPort = await listen(open)
  onCleanUp(() => (server.closeAllConnections(), server.close(), open.closeAllConnections(), void open.close()))
})

describe('what is served', () => {
  test('files with their types, and are not guessed at', async () => {
    const { status, headers, body } = await get('/data.json?x=1')
    expect([status, headers['content-type'], body.toString()]).toEqual([200, 'application/json; charset=utf-8', '{}'])
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-cache' })
  })

  test('index.html of a folder, behind its slash', async () => {
    expect((await get('/')).body.toString()).toBe('<h1>home</h1>')
    expect((await get('/sub/')).body.toString()).toBe('sub')
    expect((await get('/in/')).body.toString()).toBe('sub')
    const { status, headers } = await get('/sub?a=b')
    expect([status, headers.location]).toEqual([302, '/sub/?a=b'])
    // Never to another host.
    expect((await get('//sub')).headers.location).toBe('/sub/')
  })

  test('a list where there is none, with names escaped, that lead to their files', async () => {
    const { headers, body } = await get('/list/')
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    const links = Array.from(body.toString().matchAll(/href="([^"]*)"/g), ([, link = '']) => link)
    expect(links).toEqual(['../', './inner/', './100%25.txt', './a%20%26%20%3Cb%3E.txt'])
    expect(body.toString()).toContain('a &amp; &lt;b&gt;.txt')
    expect((await get('/list/100%25.txt')).body.toString()).toBe('percent')
    expect((await get('/list/a%20%26%20%3Cb%3E.txt')).body.toString()).toBe('odd name')
  })

  test('ranges, and 416 for those that are not there', async () => {
    const range = async (value: string): Promise<readonly unknown[]> => {
      const { status, headers, body } = await get('/0-9', { headers: { range: value } })
      return [status, headers['content-range'], body.toString()]
    }
    expect(await range('bytes=2-4')).toEqual([206, 'bytes 2-4/10', '234'])
    expect(await range('bytes=-3')).toEqual([206, 'bytes 7-9/10', '789'])
    expect((await range('bytes=20-')).slice(0, 2)).toEqual([416, 'bytes */10'])
  })

  test('304 for what has not changed, by either mark', async () => {
    const { headers } = await get('/0-9')
    for (const condition of [{ 'if-none-match': String(headers.etag) }, { 'if-modified-since': String(headers['last-modified']) }]) {
      const again = await get('/0-9', { headers: condition })
      expect([again.status, again.body.length]).toEqual([304, 0])
    }
  })

  test('HEAD has the head alone', async () => {
    for (const path of ['/0-9', '/list/', '/none']) {
      const [head, whole] = [await get(path, { method: 'HEAD' }), await get(path)]
      expect([path, head.status, head.headers['content-type'], head.body.length]).toEqual([
        path,
        whole.status,
        whole.headers['content-type'],
        0,
      ])
    }
    expect((await get('/0-9', { method: 'HEAD' })).headers['content-length']).toBe('10')
  })

  test('nothing is written', async () => {
    for (const method of ['PUT', 'POST', 'DELETE', 'PROPFIND']) {
      const { status, headers } = await get('/0-9', { method })
      expect([status, headers.allow]).toEqual([405, 'GET, HEAD'])
    }
  })
})

describe('what is not', () => {
  test.each([
    '/out',
    '/up/secret.txt',
    '/up/',
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/sub/..%2f..%2fsecret.txt',
    '/sub/%2e%2e%5c%2e%2e%5csecret.txt',
    '/..%00/secret.txt',
    '/%',
    '/%ff',
    '/loop',
    '/.env',
    '/%2eenv',
    '/env',
    '/.git/config',
    '/data.json/',
    '/data.json/x',
    '/none',
    `/${'x'.repeat(5_000)}`,
  ])('%s', async path => {
    const { status, body } = await get(path)
    expect([status, body.includes('secret')]).toEqual([404, false])
  })

  test('hidden files are, when that is asked for, and .well-known always', async () => {
    expect((await get('/.well-known/x')).body.toString()).toBe('known')
    expect((await exchange(openPort, { path: '/.env' })).body.toString()).toBe('secret')
    expect((await exchange(openPort, { path: '/up/secret.txt' })).status).toBe(404)
  })

  test('no path of any kind leads out', async () => {
    const piece = fc.constantFrom(
      '..',
      '.',
      '',
      '%2e%2e',
      '%2E.',
      'sub',
      'up',
      'in',
      'out',
      'secret.txt',
      '..%2f',
      '%5c',
      '%00',
      '.git',
      'config',
      '.env',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async pieces => {
        const found = await findFile({ path: root, showsHidden: false }, `/${pieces.join('/')}`)
        return found.kind === 'nothing' || found.kind === 'redirect' ? true : !/(?:^|\/)\.|secret/.test(found.path)
      }),
    )
  })

  test('a file, or nothing, is no folder', async () => {
    for (const path of [join(root, '0-9'), join(root, 'none')])
      await expect(createFolderServer({ path, showsHidden: false })).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
  })
})
