/** Routes of a target, what its keys do with paths, fields and answers, and who may come. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { hashPassword } from '../../src/identity/password-hash.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection, type RawResponse } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { valuesOf } from '../support/raw-message.ts'
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
const basic = (user: string, password: string): string => `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

beforeAll(async () => {
  origin = await startRawOrigin()
  const hash = await hashPassword('open sesame')
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
  allow.test: {${ORIGIN}, allow: [203.0.113.0/24, '2001:db8::/32']}
  both.test: {${ORIGIN}, allow: 203.0.113.0/24, deny: 203.0.113.66}
  secret.test:
    ${BLOCK}
    basicAuth: {users: {alice: '${hash}', "b\u00f6b": '${hash}'}, realm: Staging}
    routes:
      - {path: /open, basicAuth: false}
      - {path: /forward, basicAuth: {users: {alice: '${hash}'}, forward: true}}
  rate.test: {${ORIGIN}, limits: {rate: {perSecond: 0.001, burst: 3}}}
  key.test: {${ORIGIN}, limits: {rate: {perSecond: 0.001, burst: 1, header: X-Key}}}
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
    ['/app', '/'],
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

describe('allow and deny', () => {
  const from = (address: string): string[] => [`X-Forwarded-For: ${address}`]
  test.each([
    ['deny.test', [], 403],
    ['deny.test', from('203.0.113.5'), 200],
    ['allow.test', [], 403],
    ['allow.test', from('203.0.113.5'), 200],
    ['allow.test', from('2001:db8::7'), 200],
    ['allow.test', from('198.51.100.1'), 403],
    ['both.test', from('203.0.113.5'), 200],
    ['both.test', from('203.0.113.66'), 403],
  ])('%s for %j: %i', async (host, lines, status) => {
    const response = await ask(host, '/', lines)
    expect(response.status).toBe(status)
    expect(origin.hits).toBe(status === 200 ? 1 : 0)
  })
})

describe('basicAuth', () => {
  test('asks for a password and lets the right one in, without Authorization for the origin', async () => {
    const asked = await ask('secret.test', '/', ['Accept: application/json'])
    expect([asked.status, value(asked, 'www-authenticate')]).toEqual([401, 'Basic realm="Staging", charset="UTF-8"'])
    expect(JSON.parse(asked.body.toString())).toMatchObject({ code: 'CREDENTIALS_REQUIRED' })
    expect(origin.hits).toBe(0)
    expect((await ask('secret.test', '/', [basic('alice', 'open sesame')])).status).toBe(200)
    expect(origin.last.values('authorization')).toEqual([])
    expect((await ask('secret.test', '/', [basic('b\u00f6b', 'open sesame')])).status).toBe(200)
    expect((await ask('secret.test', '/', [basic('bo\u0308b', 'open sesame')])).status).toBe(200)
  })

  test('a route may need none, or hand it on', async () => {
    expect((await ask('secret.test', '/open')).status).toBe(200)
    const line = basic('alice', 'open sesame')
    expect((await ask('secret.test', '/forward', [line])).status).toBe(200)
    expect(`Authorization: ${origin.last.values('authorization').join()}`).toBe(line)
    expect((await ask('secret.test', '/open%2f..')).status).toBe(400)
  })

  test.each([
    ['a wrong password', basic('alice', 'open sesamE')],
    ['an unknown name', basic('eve', 'open sesame')],
    ['a name of Object', basic('__proto__', 'open sesame')],
    ['another scheme', 'Authorization: Bearer abc'],
    ['no colon', `Authorization: Basic ${Buffer.from('alice').toString('base64')}`],
    ['nothing', 'Authorization: Basic'],
    ['two fields', `${basic('alice', 'open sesame')}\r\n${basic('eve', 'x')}`],
  ])('%s is 401', async (_, line) => {
    expect((await ask('secret.test', '/', ['X-Forwarded-For: 203.0.113.1', line])).status).toBe(401)
    expect(origin.hits).toBe(0)
  })

  test('fifty requests at once with the same password, and again, are one hash', async () => {
    const line = basic('alice', 'open sesame')
    const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await ask('secret.test', '/many', [line])).status))
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect((await ask('secret.test', '/many', [line])).status).toBe(200)
  })

  test('whoever guesses is told to wait, and those who are known still come in', async () => {
    expect((await ask('secret.test', '/', ['X-Forwarded-For: 203.0.113.77', basic('alice', 'open sesame')])).status).toBe(200)
    let limited: RawResponse | undefined
    for (let i = 0; i < 12 && limited === undefined; i++) {
      const response = await ask('secret.test', '/', ['X-Forwarded-For: 203.0.113.77', basic('alice', `guess ${i}`)])
      if (response.status === 429) limited = response
      else expect(response.status).toBe(401)
    }
    expect(Number(limited && value(limited, 'retry-after'))).toBeGreaterThan(0)
    expect((await ask('secret.test', '/', ['X-Forwarded-For: 203.0.113.77', basic('alice', 'open sesame')])).status).toBe(200)
    expect((await ask('secret.test', '/', ['X-Forwarded-For: 203.0.113.78', basic('alice', 'x')])).status).toBe(401)
  })

  test('a client that leaves while its password is verified leaves nothing behind', async () => {
    const before = layers.accessLog.length
    const client = await RawConnection.open(layers.port)
    client.write(`GET /left HTTP/1.1\r\nHost: secret.test\r\nX-Forwarded-For: 203.0.113.2\r\n${basic('alice', 'wrong')}\r\n\r\n`)
    client.destroy()
    await layers.accessLine(before + 1)
    expect(layers.outer.registry.connections[0]?.session.streamCount).toBe(0)
    expect(origin.hits).toBe(0)
  })
})

describe('limits', () => {
  test('rate: what is too much is 429 with Retry-After, for each client alone', async () => {
    const at = async (address: string): Promise<RawResponse> => ask('rate.test', '/', [`X-Forwarded-For: ${address}`])
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) statuses.push((await at('2001:db8::1')).status)
    expect(statuses).toEqual([200, 200, 200, 429])
    const other = await at('2001:db8::ffff:2') // the same /64
    expect([other.status, Number(value(other, 'retry-after')) > 100]).toEqual([429, true])
    expect((await at('2001:db8:0:1::1')).status).toBe(200)
    expect((await at('203.0.113.9')).status).toBe(200)
  })

  test('rate by a field', async () => {
    expect((await ask('key.test', '/', ['X-Key: a'])).status).toBe(200)
    expect((await ask('key.test', '/', ['X-Key: a'])).status).toBe(429)
    expect((await ask('key.test', '/', ['X-Key: b'])).status).toBe(200)
  })

  test('concurrency: one too many is 503, and there is room again afterwards', async () => {
    const client = await RawConnection.open(layers.port)
    let release = (): void => undefined
    origin.handle((_request, socket) => {
      release = () => void socket.write(rawResponse(200, 'ok'))
    })
    client.write('GET /held HTTP/1.1\r\nHost: one.test\r\n\r\n')
    await until(() => origin.hits === 1)
    const refused = await ask('one.test', '/')
    expect([refused.status, value(refused, 'retry-after')]).toEqual([503, '1'])
    release()
    expect((await client.readResponse()).status).toBe(200)
    client.destroy()
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    for (let i = 0; i < 3; i++) expect((await ask('one.test', '/')).status).toBe(200)
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
