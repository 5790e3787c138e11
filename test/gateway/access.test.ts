/** Who may come, how often, and with which password. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { hashPassword } from '../../src/identity/password-hash.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { cheapHash } from '../support/password.ts'
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
  const cheap = cheapHash('open sesame')
  layers = await startLayers({
    origin: origin.port,
    targets: `
targets:
  deny.test: {${ORIGIN}, deny: [loopback]}
  allow.test: {${ORIGIN}, allow: [203.0.113.0/24, '2001:db8::/32']}
  both.test: {${ORIGIN}, allow: 203.0.113.0/24, deny: 203.0.113.66}
  secret.test:
    ${BLOCK}
    basicAuth: {users: {alice: '${hash}', "b\u00f6b": '${hash}'}, realm: Staging}
    routes:
      - {path: /open, basicAuth: false}
      - {path: /forward, basicAuth: {users: {alice: '${hash}'}, forward: true}}
  guess.test:
    ${BLOCK}
    basicAuth: {users: {alice: '${cheap}'}}
  login.test:
    ${BLOCK}
    basicAuth: {users: {alice: '${cheap}', carol: '${cheap}'}, realm: Login}
    routes:
      - {path: /open, basicAuth: false}
      - {path: /own, basicAuth: {users: {bob: '${cheap}'}, realm: Other}}
      - {path: /here, respond: {body: x}}
      - {path: /never, basicAuth: {users: {alice: '${cheap}'}, session: false}}
      - {path: /forward, basicAuth: {users: {alice: '${cheap}'}, realm: Login, forward: true}}
  rate.test: {${ORIGIN}, limits: {rate: {perSecond: 0.001, burst: 3}}}
  key.test: {${ORIGIN}, limits: {rate: {perSecond: 0.001, burst: 1, header: X-Key}}}
  one.test: {${ORIGIN}, limits: {concurrency: 1}}
`,
  })
})
beforeEach(() => {
  origin.clear()
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
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

describe('a session after a login', () => {
  const cookieOf = (response: RawResponse): string => (value(response, 'set-cookie') ?? '').split(';')[0]!
  const logIn = async (): Promise<string> => cookieOf(await ask('login.test', '/', [basic('alice', 'open sesame')]))

  test('begins with the first password, and a cookie of this host is enough from then on', async () => {
    const first = await ask('login.test', '/', [basic('alice', 'open sesame')])
    expect(value(first, 'set-cookie')).toMatch(/^sg-login-[0-9a-f]{8}=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax$/)
    expect(origin.last.values('authorization')).toEqual([])
    const second = await ask('login.test', '/', [`Cookie: a=1; ${cookieOf(first)}; b=2`])
    expect([second.status, value(second, 'set-cookie')]).toEqual([200, undefined])
    expect(origin.last.values('cookie')).toEqual(['a=1; b=2'])
    expect((await ask('login.test', '/here', [basic('alice', 'open sesame')])).fields.map(([name]) => name)).toContain('Set-Cookie')
  })

  test('leaves Authorization to the application, and keeps the password of the gateway from it', async () => {
    const cookie = `Cookie: ${await logIn()}`
    for (const own of [
      'Bearer abc',
      'token 0123',
      `Basic ${Buffer.from('dave:own').toString('base64')}`,
      `Basic ${Buffer.from('carol:own').toString('base64')}`,
    ]) {
      for (let i = 0; i < 15; i++)
        expect([own, (await ask('login.test', '/', [cookie, `Authorization: ${own}`])).status]).toEqual([own, 200])
      expect(origin.last.values('authorization')).toEqual([own])
      expect(origin.last.values('cookie')).toEqual([])
    }
    await ask('login.test', '/', [cookie, basic('alice', 'open sesame')])
    expect(origin.last.values('authorization')).toEqual([])
    await ask('login.test', '/forward', [cookie, basic('alice', 'open sesame')])
    expect(origin.last.values('authorization')).toHaveLength(1)
  })

  test('is none for other users, without a cookie of this process, or where it is switched off', async () => {
    const cookie = await logIn()
    expect((await ask('login.test', '/own', [`Cookie: ${cookie}`])).status).toBe(401)
    expect((await ask('login.test', '/never', [`Cookie: ${cookie}`])).status).toBe(401)
    expect((await ask('secret.test', '/', [`Cookie: ${cookie}`])).status).toBe(401)
    expect((await ask('login.test', '/', [`Cookie: ${cookie.slice(0, -2)}xx`])).status).toBe(401)
    expect((await ask('login.test', '/', [`Cookie: __Host-${cookie}`])).status).toBe(401)
    expect((await ask('login.test', '/', ['Authorization: Bearer abc'])).status).toBe(401)
    const never = await ask('login.test', '/never', [basic('alice', 'open sesame')])
    expect([never.status, value(never, 'set-cookie')]).toEqual([200, undefined])
  })

  test('reaches no origin, not even where no password is asked for', async () => {
    const cookie = await logIn()
    await ask('login.test', '/open', [`Cookie: ${cookie}; a=1`, `Cookie: __Host-${cookie}`])
    expect(origin.last.values('cookie')).toEqual(['a=1'])
    await ask('deny.test', '/', [`Cookie: ${cookie}`, 'X-Forwarded-For: 203.0.113.1'])
    expect(origin.last.values('cookie')).toEqual([])
  })

  test('over https has a name that neighbouring hosts cannot set', async () => {
    const response = await ask('login.test', '/', [basic('alice', 'open sesame'), 'X-Forwarded-Proto: https'])
    expect(value(response, 'set-cookie')).toMatch(/^__Host-sg-login-.*; Secure$/)
    expect((await ask('login.test', '/', [`Cookie: ${cookieOf(response)}`, 'X-Forwarded-Proto: https'])).status).toBe(200)
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
    expect((await ask('guess.test', '/', ['X-Forwarded-For: 203.0.113.77', basic('alice', 'open sesame')])).status).toBe(200)
    // At once: one after the other, on a busy machine, they might not come faster than they may.
    const guess = async (i: number): Promise<RawResponse> =>
      ask('guess.test', '/', ['X-Forwarded-For: 203.0.113.77', basic('alice', `guess ${i}`)])
    const responses = await Promise.all(Array.from({ length: 30 }, async (_, i) => guess(i)))
    const limited = responses.find(({ status }) => status === 429)
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([401, 429]))
    expect(Number(limited && value(limited, 'retry-after'))).toBeGreaterThan(0)
    expect((await ask('guess.test', '/', ['X-Forwarded-For: 203.0.113.77', basic('alice', 'open sesame')])).status).toBe(200)
    expect((await ask('guess.test', '/', ['X-Forwarded-For: 203.0.113.78', basic('alice', 'x')])).status).toBe(401)
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

test('a request that is one too many while its password is verified is 503, and nothing else comes of it', async () => {
  const hash = await hashPassword('open sesame')
  const busy = await startLayers({
    origin: origin.port,
    outer: { limits: { requests: 1 } },
    targets: `targets: {a.test: {${ORIGIN}}, secret.test: {${ORIGIN}, basicAuth: {users: {alice: '${hash}'}}}}`,
  })
  const client = await RawConnection.open(busy.port)
  origin.handle(() => undefined)
  client.write('GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n')
  await until(() => origin.hits === 1)
  expect((await ask('secret.test', '/', [basic('alice', 'wrong')], 'GET', busy)).status).toBe(503)
  expect((await ask('secret.test', '/', [basic('alice', 'open sesame')], 'GET', busy)).status).toBe(503)
  client.destroy()
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  // By now both verdicts are in: what is right is known.
  await until(async () => (await ask('secret.test', '/', [basic('alice', 'open sesame')], 'GET', busy)).status === 200)
  expect(origin.hits).toBe(2)
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
