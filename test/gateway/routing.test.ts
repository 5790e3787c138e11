/** Routes of a target, and what its keys do with paths, fields and answers. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { cheapHash } from '../support/password.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { chunked, head } from '../support/message.ts'
import { RawConnection, type RawResponse } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { valuesOf } from '../support/raw-message.ts'
import { echoOrigin, openUpgraded, upgradeRequest } from '../support/upgrade.ts'
import { until } from '../support/wait.ts'

const ORIGIN = 'protocol: http, hostname: 127.0.0.1, port: {port}'
const BLOCK = ORIGIN.replaceAll(', ', '\n    ')

let origin: RawOrigin
let layers: Layers

const ask = async (
  host: string,
  target: string,
  lines: readonly string[] = [],
  method = 'GET',
  to: Layers = layers,
): Promise<RawResponse> => {
  const client = await RawConnection.open(to.port)
  client.write([`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join('\r\n'))
  const response = await client.readResponse(method)
  client.destroy()
  return response
}
const value = (response: RawResponse, name: string): string | undefined => valuesOf(response.fields, name)[0]

beforeAll(async () => {
  origin = await startRawOrigin()
  const hash = cheapHash('open sesame')
  layers = await startLayers({
    origin: origin.port,
    targets: `
targets:
  routes.test:
    ${BLOCK}
    policy: {'^/.*': [GET]}
    routes:
      - {path: /app, ${ORIGIN}, stripPrefix: true, policy: '*'}
      - {path: /app/deep, rewrite: /inside, policy: '*'}
      - {path: '^/users/[0-9]+', rewrite: {pattern: '^/users/([0-9]+)', to: '/u/$1/profile'}}
      - {path: /nowhere, policy: {}}
      - {path: /gone, respond: {status: 410, body: 'no more', headers: {X-Why: because}}}
  only.test:
    routes: [{path: /here, respond: {body: '{"ok":true}'}}]
  fields.test:
    ${BLOCK}
    preserveHost: true
    removeCsps: true
    headers:
      request: {set: {X-User: 'from \${client}', X-Forwarded-User: gateway}, add: {X-List: [a, b]}, remove: [X-Debug]}
      response: {set: {X-Frame-Options: DENY, X-Host: '\${scheme}://\${host}'}, add: {Vary: Origin}, remove: [Server]}
  moved.test:
    redirect: {to: 'https://new.test\${path}\${query}', status: 308}
    policy: {'^/ok.*': [GET, HEAD]}
  deny.test: {${ORIGIN}, deny: [loopback]}
  secret.test:
    ${BLOCK}
    basicAuth: {users: {alice: '${hash}', "b\u00f6b": '${hash}'}, realm: Staging}
    routes:
      - {path: /open, basicAuth: false}
      - {path: /forward, basicAuth: {users: {alice: '${hash}'}, forward: true}}
  one.test: {${ORIGIN}, limits: {concurrency: 1}}
  away.test:
    ${BLOCK}
    identifier: nobody
    maintenance: {body: '<!doctype html><p>soon', headers: {Retry-After: '60'}}
`,
  })
})
beforeEach(() => {
  origin.clear()
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
})

describe('routes', () => {
  test.each([
    ['/app/x?q=/y', '/x?q=/y'],
    ['/app/', '/'],
    ['/application', '/application'],
    ['/app/deep/x', '/inside/x'],
    ['/app/deep', '/inside'],
    ['/app/deeper', '/deeper'],
    ['/users/7', '/u/7/profile'],
    ['/users/seven', '/users/seven'],
    ['/%61pp/%7ex', '/~x'],
    ['/x/../app//y', '/y'],
  ])('%s reaches the origin as %s', async (target, wanted) => {
    expect((await ask('routes.test', target)).status).toBe(200)
    expect(origin.last.target).toBe(wanted)
  })

  test('the policy is that of the route, and sees the public path', async () => {
    expect((await ask('routes.test', '/app/x', [], 'DELETE')).status).toBe(200)
    expect((await ask('routes.test', '/other', [], 'DELETE')).status).toBe(403)
    expect((await ask('routes.test', '/nowhere/x')).status).toBe(403)
    expect((await ask('routes.test', '/users/7', [], 'DELETE')).status).toBe(403)
  })

  test.each(['/app%2fx', '/app/..%2fsecret', '/app/..;/secret', '/app\\x', '/app/%'])(
    'what can be read in two ways is refused even where the policy is "*": %s',
    async target => {
      expect((await ask('routes.test', target)).status).toBe(400)
      expect(origin.hits).toBe(0)
    },
  )

  test('a route may answer by itself, and what no route is for is 404', async () => {
    const gone = await ask('routes.test', '/gone/x')
    expect(gone).toMatchObject({ status: 410 })
    expect(gone.body.toString()).toBe('no more')
    expect([value(gone, 'x-why'), value(gone, 'content-type'), value(gone, 'content-length')]).toEqual([
      'because',
      'text/plain; charset=utf-8',
      '7',
    ])
    const here = await ask('only.test', '/here')
    expect([here.status, value(here, 'content-type'), here.body.toString()]).toEqual([200, 'application/json', '{"ok":true}'])
    const nothing = await ask('only.test', '/', ['Accept: application/json'])
    expect([nothing.status, JSON.parse(nothing.body.toString())]).toEqual([404, expect.objectContaining({ code: 'NO_ROUTE' })])
    expect(origin.hits).toBe(0)
  })

  test('HEAD of a fixed answer has its fields and no body', async () => {
    const client = await RawConnection.open(layers.port)
    client.write('HEAD /here HTTP/1.1\r\nHost: only.test\r\n\r\nGET /here HTTP/1.1\r\nHost: only.test\r\n\r\n')
    const first = await client.readResponse('HEAD')
    expect([first.status, value(first, 'content-length')]).toEqual([200, '11'])
    expect((await client.readResponse()).status).toBe(200)
    client.destroy()
  })
})

describe('what an origin says of its paths', () => {
  const answer = async (target: string, fields: readonly string[]): Promise<RawResponse> => {
    origin.handle((_request, socket) => void socket.write(rawResponse(302, '', fields)))
    return ask('routes.test', target)
  }

  test.each([
    ['/app/x', '/login', '/app/login'],
    ['/app/x', '/', '/app/'],
    ['/app/x', '/app/login', '/app/login'],
    ['/app/x', '/application', '/app/application'],
    ['/app/x', 'relative/x', 'relative/x'],
    ['/app/x', 'http://127.0.0.1:{port}/login?a=/b', 'http://routes.test/app/login?a=/b'],
    ['/app/x', 'http://127.0.0.1:{port}', 'http://routes.test/app'],
    ['/app/x', 'http://127.0.0.1:{port}?q', 'http://routes.test/app?q'],
    ['/app/x', '//127.0.0.1:{port}/y', '//routes.test/app/y'],
    ['/app/x', 'https://elsewhere.test/login', 'https://elsewhere.test/login'],
    ['/app/deep/x', '/inside/y#z', '/app/deep/y#z'],
    ['/app/deep/x', '/outside', '/outside'],
    ['/users/7', '/u/8/profile', '/u/8/profile'],
    ['/other', '/login', '/login'],
  ])('%s: Location %s is %s', async (target, location, wanted) => {
    const response = await answer(target, [`Location: ${location.replace('{port}', String(origin.port))}`])
    expect(value(response, 'location')).toBe(wanted)
  })

  test('the targets of Link are public, and nothing else in it', async () => {
    const link = `</style.css>; rel=preload; title="</x>", <http://127.0.0.1:${origin.port}/y>; rel="next", <other>; rel=x, <https://b.test/z>`
    expect(value(await answer('/app/x', [`Link: ${link}`]), 'link')).toBe(
      '</app/style.css>; rel=preload; title="</x>", <http://routes.test/app/y>; rel="next", <other>; rel=x, <https://b.test/z>',
    )
    expect(value(await answer('/other', [`Link: ${link}`]), 'link')).toBe(
      '</style.css>; rel=preload; title="</x>", <http://routes.test/y>; rel="next", <other>; rel=x, <https://b.test/z>',
    )
  })

  test('the Path of cookies is public, but for __Host- and foreign ones', async () => {
    const response = await answer('/app/x', [
      'Set-Cookie: a=1; Path=/; HttpOnly',
      'Set-Cookie: b=1; path=/sub/',
      'Set-Cookie: c=1',
      'Set-Cookie: __Host-d=1; Path=/; Secure',
      'Set-Cookie: e=1; Path=/app/x',
      'Set-Cookie: f=1; Path=relative',
    ])
    expect(valuesOf(response.fields, 'set-cookie')).toEqual([
      'a=1; Path=/app; HttpOnly',
      'b=1; Path=/app/sub/',
      'c=1',
      '__Host-d=1; Path=/; Secure',
      'e=1; Path=/app/x',
      'f=1; Path=relative',
    ])
  })

  test('an origin that wants to know its prefix is told, by us alone', async () => {
    await ask('routes.test', '/app/x', ['X-Forwarded-Prefix: /evil'])
    expect(origin.last.values('x-forwarded-prefix')).toEqual(['/app'])
    await ask('routes.test', '/app/deep/x')
    expect(origin.last.values('x-forwarded-prefix')).toEqual([])
  })
})

describe('headers', () => {
  test('are set, added and removed in requests, and no client gets its own beside them', async () => {
    await ask('fields.test', '/', [
      'X-User: admin',
      'x_user: admin',
      'X_USER: admin',
      'X-Debug: 1',
      'x-list: z',
      'X-Forwarded-User: root',
      'Connection: X-User',
    ])
    const { last } = origin
    expect(last.values('x-user')).toEqual(['from 127.0.0.1'])
    expect(last.values('x_user')).toEqual([])
    expect(last.values('x-forwarded-user')).toEqual(['gateway'])
    expect(last.values('x-list')).toEqual(['z', 'a', 'b'])
    expect(last.values('x-debug')).toEqual([])
    expect(last.values('x-forwarded-for')).toEqual(['127.0.0.1'])
  })

  test('are set, added and removed in answers', async () => {
    const fields = ['Server: secret/1.0', 'X-Frame-Options: ALLOW', 'Vary: Accept', 'Content-Security-Policy: default-src *']
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok', fields)))
    const response = await ask('FIELDS.test:80', '/')
    expect(valuesOf(response.fields, 'server')).toEqual([])
    expect(valuesOf(response.fields, 'content-security-policy')).toEqual([])
    expect(valuesOf(response.fields, 'x-frame-options')).toEqual(['DENY'])
    expect(valuesOf(response.fields, 'x-host')).toEqual(['http://FIELDS.test:80'])
    expect(valuesOf(response.fields, 'vary')).toEqual(['Accept', 'Origin'])
    expect(response.body.toString()).toBe('ok')
  })

  test('preserveHost: the origin gets the public name, others their own', async () => {
    await ask('fields.test', '/')
    expect(origin.last.values('host')).toEqual(['fields.test'])
    await ask('routes.test', '/')
    expect(origin.last.values('host')).toEqual([`127.0.0.1:${origin.port}`])
  })
})

describe('redirect', () => {
  test('names path and query, and only what the policy allows', async () => {
    const response = await ask('moved.test', '/ok/./x?a=%20b')
    expect([response.status, value(response, 'location'), value(response, 'content-length')]).toEqual([
      308,
      'https://new.test/ok/x?a=%20b',
      '0',
    ])
    expect((await ask('moved.test', '/other')).status).toBe(403)
    expect((await ask('moved.test', '//evil.test/%2f')).status).toBe(400)
    expect(origin.hits).toBe(0)
  })
})

test('maintenance: a page of the operator while nobody can serve the target', async () => {
  const response = await ask('away.test', '/')
  expect([response.status, value(response, 'retry-after'), value(response, 'content-type')]).toEqual([
    503,
    '60',
    'text/html; charset=utf-8',
  ])
  expect(response.body.toString()).toBe('<!doctype html><p>soon')
})

test('a trailer cannot say what a target sets in requests', async () => {
  const client = await RawConnection.open(layers.port)
  client.write(
    head('POST / HTTP/1.1', 'Host: fields.test', 'Transfer-Encoding: chunked', 'Trailer: X-User, X-Sum') +
      chunked(['body'], 'X-User: admin', 'x_user: admin', 'X-Debug: 1', 'X-Sum: 7'),
  )
  expect((await client.readResponse()).status).toBe(200)
  client.destroy()
  await origin.last.complete
  expect(origin.last.trailers).toEqual([['X-Sum', '7']])
})

describe('a switch of protocols', () => {
  const upgrade = (host: string, path: string, ...lines: readonly string[]): Promise<RawResponse> =>
    ask(host, path, ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: x', ...lines])

  test('passes the same gate as any request', async () => {
    expect((await upgrade('secret.test', '/')).status).toBe(401)
    expect((await upgrade('deny.test', '/')).status).toBe(403)
    expect((await upgrade('routes.test', '/nowhere')).status).toBe(403)
    expect((await upgrade('routes.test', '/app%2fx')).status).toBe(400)
    expect((await upgrade('routes.test', '/gone')).status).toBe(410)
    expect(origin.hits).toBe(0)
  })

  test('goes to the path of the route, and counts as long as it lasts', async () => {
    origin.handle(echoOrigin)
    const client = await openUpgraded(layers.port, upgradeRequest('/app/socket').replace('a.test', 'routes.test'))
    expect(origin.last.target).toBe('/socket')
    const one = await openUpgraded(layers.port, upgradeRequest('/').replace('a.test', 'one.test'))
    expect((await ask('one.test', '/')).status).toBe(503)
    one.destroy()
    client.destroy()
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    await until(async () => (await ask('one.test', '/')).status === 200)
  })
})
