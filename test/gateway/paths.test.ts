/** Paths that mean more than one thing: encoded slashes, parameters of segments, prefixes without their slash, and rewriting into a query. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { cheapHash } from '../support/password.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { valuesOf } from '../support/raw-message.ts'
import { RawConnection, type RawResponse } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { openUpgraded, upgradeRequest } from '../support/upgrade.ts'

const ORIGIN = 'protocol: http, hostname: 127.0.0.1, port: {port}'

let origin: RawOrigin
let layers: Layers

const ask = async (host: string, target: string, method = 'GET', lines: readonly string[] = []): Promise<RawResponse> => {
  const client = await RawConnection.open(layers.port)
  client.write([`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join('\r\n'))
  const response = await client.readResponse(method)
  client.destroy()
  return response
}
/** What the origin was asked for, or the status. */
const reached = async (host: string, target: string, method = 'GET'): Promise<string | number> => {
  const hits = origin.hits
  const { status } = await ask(host, target, method)
  return origin.hits > hits ? origin.last.target : status
}

beforeAll(async () => {
  origin = await startRawOrigin()
  const auth = `basicAuth: {users: {alice: '${cheapHash('open sesame')}'}}`
  layers = await startLayers({
    origin: origin.port,
    targets: `
targets:
  npm.test: {${ORIGIN}, encodedSlash: keep, policy: {'^/@[a-z]+%2F[a-z]+': [GET], '/literal%2fpath': [GET], '^/pub/.*': [GET]}}
  strip.test:
    encodedSlash: keep
    ${ORIGIN.replaceAll(', ', '\n    ')}
    routes:
      - {path: /git, stripPrefix: true}
      - {path: /plain, encodedSlash: refuse}
      - {path: /rewritten, rewrite: {pattern: '^/rewritten/(.*)', to: '/r/$1'}}
  one.test:
    ${ORIGIN.replaceAll(', ', '\n    ')}
    routes: [{path: /git, encodedSlash: keep}]
  fence.test:
    ${ORIGIN.replaceAll(', ', '\n    ')}
    encodedSlash: keep
    routes: [{path: /admin, ${auth}}, {path: '/deep/inside/', ${auth}}]
  app.test:
    ${ORIGIN.replaceAll(', ', '\n    ')}
    routes:
      - {path: /nr, stripPrefix: true}
      - {path: /bare, stripPrefix: true, slashRedirect: false}
      - {path: /exact, stripPrefix: true, policy: {/exact: [GET]}}
      - {path: /sub/dir, stripPrefix: /sub}
  view.test: {${ORIGIN}, rewrite: {pattern: '^/enc/(.+)', to: '/view?ENC=$1'}}
`,
  })
})
beforeEach(() => {
  origin.clear()
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
})

describe('encodedSlash: keep', () => {
  test.each([
    ['npm.test', '/@scope%2Fname', '/@scope%2Fname'],
    ['npm.test', '/@scope%2fname?x=%2f', '/@scope%2Fname?x=%2f'],
    ['npm.test', '/literal%2Fpath', '/literal%2Fpath'],
    ['npm.test', '/@scope/name', 403],
    ['npm.test', '/literal/path', 403],
    ['strip.test', '/git/group%2Fproject/x', '/group%2Fproject/x'],
    ['strip.test', '/rewritten/a%2Fb', '/r/a%2Fb'],
    ['strip.test', '/other/a%2Fb', '/other/a%2Fb'],
    ['one.test', '/git/a%2Fb', '/git/a%2Fb'],
  ])('%s %s: %s', async (host, target, wanted) => {
    expect(await reached(host, target)).toBe(wanted)
  })

  test('is for the target or route that says it', async () => {
    expect(await reached('strip.test', '/plain/a%2Fb')).toBe(400)
    expect(await reached('one.test', '/other/a%2Fb')).toBe(400)
  })

  test.each([
    '/pub/..%2Fsecret',
    '/pub/x%2F..%2F..%2Fsecret',
    '/pub/x%2f%2e%2e',
    '/pub/x%2F..;a/b',
    '/pub/.%2Fx',
    '/pub/x%5Cy',
    '/pub/%2F..',
  ])('what an origin could resolve behind it is refused: %s', async target => {
    expect(await reached('npm.test', target)).toBe(400)
  })
})

describe('a route that is stricter than its target', () => {
  test.each([
    '/admin;/x',
    '/admin;x',
    '/admin;a=1/b',
    '/admin%3Bx/y',
    '/admin%2Fx',
    '/admin%2f',
    '/deep;a/inside/x',
    '/deep/inside;a/x',
    '/deep%2Finside%2Fx',
    '/;x/admin',
    '/deep/;/inside/x',
  ])('is not got around by %s', async target => {
    expect(await reached('fence.test', target)).toBe(400)
  })

  test.each([
    ['/admin', 401],
    ['/admin/x;a=1', 401],
    ['/administrator;a=1', '/administrator;a=1'],
    ['/shop;jsessionid=1/x', '/shop;jsessionid=1/x'],
    ['/x%2Fadmin', '/x%2Fadmin'],
  ])('and others go their way: %s', async (target, wanted) => {
    expect(await reached('fence.test', target)).toBe(wanted)
  })
})

describe('a prefix that is stripped, asked for without its slash', () => {
  test.each([
    ['/nr', 'GET', '/nr/'],
    ['/nr?a=/b', 'HEAD', '/nr/?a=/b'],
  ])('%s by %s is sent to %s', async (target, method, location) => {
    const response = await ask('app.test', target, method)
    expect([response.status, valuesOf(response.fields, 'location')]).toEqual([307, [location]])
    expect(origin.hits).toBe(0)
  })

  test.each([
    ['/nr/', 'GET', '/'],
    ['/nr', 'POST', '/'],
    ['/bare', 'GET', '/'],
    ['/exact', 'GET', '/'], // the policy allows nothing else
    ['/sub/dir', 'GET', '/dir'],
  ])('%s by %s reaches the origin as %s', async (target, method, wanted) => {
    expect(await reached('app.test', target, method)).toBe(wanted)
  })

  test('a WebSocket goes on', async () => {
    origin.handle(
      (_request, socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    )
    const connection = await openUpgraded(layers.port, upgradeRequest('/nr').replace('a.test', 'app.test'))
    expect(origin.last.target).toBe('/')
    connection.destroy()
  })
})

test('a path may be rewritten into a query', async () => {
  expect(await reached('view.test', '/enc/abc')).toBe('/view?ENC=abc')
  expect(await reached('view.test', '/enc/a%20b&c?d=e')).toBe('/view?ENC=a%20b%26c&d=e')
  expect(await reached('view.test', '/other?d=e')).toBe('/other?d=e')
})
