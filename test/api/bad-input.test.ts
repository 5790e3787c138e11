import { randomUUID } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../src/errors.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { PASSWORD, startApi, type ApiAnswer } from '../support/api.ts'

const lines: string[] = []
const api = await startApi({
  log: createLog({ level: 'debug', format: 'json', destination: { write: (line: string) => (lines.push(line), true) } }),
})
await api.given.service.accounts.setLimits(await api.given.actor('admin'), api.ids.bob, { tcp: 0 })
const dialects = [
  { dialect: 'v1', send: api.v1, sockets: '/sockets' },
  { dialect: 'compatible', send: api.old, sockets: '/socket' },
] as const

interface ErrorBody {
  readonly error: string
  readonly error_message: string
  readonly request_id: string
  readonly details: readonly { readonly path: string; readonly message: string }[]
}

const refusal = ({ status, json, headers }: ApiAnswer): ErrorBody & { status: number } => {
  const body = json as ErrorBody
  expect(Object.keys(body)).toEqual(['error', 'error_message', 'request_id', 'details'])
  expect(body.request_id).toBe(headers.get('x-request-id'))
  expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
  expect(headers.get('cache-control')).toBe('no-store')
  return { status, ...body }
}
const paths = (answer: ApiAnswer): string[] => refusal(answer).details.map(({ path }) => path)

describe.each(dialects)('bad input in the dialect $dialect', ({ dialect, send, sockets }) => {
  test.each([
    ['no token', null],
    ['an unknown one', 'nobody'],
    ['one with characters of its own', 'a b;c'],
  ])('%s: 401 UNAUTHENTICATED with WWW-Authenticate, and nothing of why', async (_what, token) => {
    const answer = await send('GET', sockets, { token })
    expect(refusal(answer)).toMatchObject({ status: 401, error: 'UNAUTHENTICATED' })
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect(answer.text).not.toMatch(/jwt|expired|malformed|signature/i)
  })

  test('the token is asked for before the body is read', async () => {
    expect((await send('POST', sockets, { token: null, raw: '{' })).status).toBe(401)
  })

  test('a wrong password and an unknown address: 401 LOGIN_FAILED with one text', async () => {
    const path = dialect === 'v1' ? '/sessions' : '/login'
    const [first, second] = await Promise.all(
      [
        { email: 'ada@example.com', password: 'x' },
        { email: 'nobody@example.com', password: 'x' },
      ].map(body => send('POST', path, { token: null, body })),
    )
    const [{ request_id: _a, ...one }, { request_id: _b, ...other }] = [refusal(first!), refusal(second!)]
    expect(one).toEqual(other)
    expect(one).toMatchObject({ status: 401, error: 'LOGIN_FAILED' })
    expect(first!.headers.get('www-authenticate')).toBeNull()
  })

  test("no object, somebody else's, and an id that is none: 404 NOT_FOUND with the same body", async () => {
    const created = await api.v1('POST', '/sockets', { token: 'bob', body: { name: "Bob's" } })
    const ids = [(created.json as { id: string }).id, randomUUID(), '7', 'a%20b', '..%2f..', '%zz', "'--", '%00']
    const bodies = await Promise.all(ids.map(async id => refusal(await send('GET', `${sockets}/${id}`))))
    for (const { request_id: _id, ...body } of bodies) {
      expect(body).toEqual({ status: 404, error: 'NOT_FOUND', error_message: 'There is no such thing, or it is not yours.', details: [] })
    }
  })

  test('an unknown path: 404 in the same shape, also with a broken body', async () => {
    expect(refusal(await send('POST', '/nothing', { raw: '{' }))).toMatchObject({ status: 404, error: 'NOT_FOUND' })
  })

  test.each([
    ['broken JSON', '{"name":'],
    ['two values', '{} {}'],
    ['no object', '"text"'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a number', '7'],
    ['bytes that are no UTF-8', '{"name":"\xff'],
    ['deep nesting', '['.repeat(30_000)],
  ])('%s as a body: 400 INVALID', async (_what, raw) => {
    expect(refusal(await send('POST', sockets, { raw }))).toMatchObject({ status: 400, error: 'INVALID', details: [{ path: '' }] })
  })

  test('a body in another coding or character set: 400 INVALID', async () => {
    for (const headers of [
      { 'Content-Encoding': 'br' },
      { 'Content-Encoding': 'x-own' },
      { 'Content-Encoding': 'gzip' },
      { 'Content-Type': 'application/json; charset=utf-32' },
      { 'Content-Type': 'application/json; charset=koi8-r' },
    ])
      expect(refusal(await send('POST', sockets, { raw: '{"name":"x"}', headers }))).toMatchObject({ status: 400, error: 'INVALID' })
  })

  test('wrong types: 400 INVALID with each path', async () => {
    const wrong = { name: 7, type: 'ftp', socket_type: 'ssh', protected_socket: 'yes', cloud_authentication_enabled: 1 }
    const names = dialect === 'v1' ? ['name', 'type'] : ['name', 'socket_type', 'protected_socket', 'cloud_authentication_enabled']
    expect(paths(await send('POST', sockets, { body: wrong }))).toEqual(expect.arrayContaining(names))
  })

  test.each(['a\u0000b', 'a\nb', 'a\u001b[31m', 'a\u0085', 'a\u2028', 'a\ud800'])(
    'control characters and halves of characters: %j',
    async name => {
      expect(paths(await send('POST', sockets, { raw: JSON.stringify({ name }) }))).toEqual(['name'])
    },
  )

  test('more than 64 KiB: 413', async () => {
    const answer = await send('POST', sockets, { body: { name: 'x'.repeat(70_000) } })
    expect(refusal(answer)).toMatchObject({ status: 413, error: 'BODY_TOO_LARGE' })
  })

  test('a limit: 403 LIMIT_REACHED with what to do', async () => {
    const body = refusal(
      await send('POST', sockets, { token: 'bob', body: { name: 'x', [dialect === 'v1' ? 'type' : 'socket_type']: 'tcp' } }),
    )
    expect(body).toMatchObject({ status: 403, error: 'LIMIT_REACHED' })
    expect(body.error_message).toMatch(/delete one|ask an admin/)
  })

  test('too many attempts: 429 with the Retry-After of the rules, or one of its own', async () => {
    const path = dialect === 'v1' ? '/sessions' : '/login'
    const login = (): Promise<ApiAnswer> =>
      send('POST', path, {
        token: null,
        body: { email: 'bob@example.com', password: 'a wrong one' },
        headers: { 'X-Real-IP': dialect === 'v1' ? '192.0.2.1' : '192.0.2.2' },
      })
    const statuses: number[] = []
    let answer: ApiAnswer
    do statuses.push((answer = await login()).status)
    while (statuses.length < 20 && answer.status !== 429)
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
    expect(refusal(answer)).toMatchObject({ error: 'RATE_LIMITED', error_message: expect.stringMatching(/try again in \d+ s/) })
    expect(answer.headers.get('retry-after')).toBe('30')
    api.fail = new GatewayError('RATE_LIMITED')
    expect((await login()).headers.get('retry-after')).toBe('6')
  })

  test('the database away: 503 STORE_UNAVAILABLE with Retry-After 5, and nothing of the database', async () => {
    api.fail = new GatewayError('STORE_UNAVAILABLE', 'connect ECONNREFUSED /var/run/postgresql')
    const answer = await send('GET', sockets)
    expect(refusal(answer)).toMatchObject({ status: 503, error: 'STORE_UNAVAILABLE' })
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(answer.text).not.toContain('postgres')
  })

  test.each([
    ['a fault of the program', new TypeError('x of undefined at /srv/app/rules.ts')],
    ['a code that no client has to know', new GatewayError('KEY_INVALID', '/srv/state/service.key is not readable')],
  ])('%s: 500 without a word of it, which is in the log under the id', async (_what, error) => {
    api.fail = error
    lines.length = 0
    const answer = await send('GET', sockets)
    const { request_id: id, ...body } = refusal(answer)
    expect(body).toMatchObject({ status: 500, error: 'INTERNAL', details: [] })
    expect(answer.text).not.toContain('srv')
    const line = lines.map(each => JSON.parse(each) as Record<string, unknown>).find(each => each['requestId'] === id)
    expect(line).toMatchObject({ level: 'error', method: 'GET' })
    expect(JSON.stringify(line)).toContain('srv')
  })

  test('another method: 405 with Allow; OPTIONS says it too, and lets no other origin in', async () => {
    const answer = await send('PUT', sockets, { body: {} })
    expect(refusal(answer)).toMatchObject({ status: 405, error: 'METHOD_REFUSED' })
    expect(answer.headers.get('allow')).toBe('GET, HEAD, POST, OPTIONS')
    const options = await send('OPTIONS', sockets, {
      token: null,
      headers: { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' },
    })
    expect([options.status, options.headers.get('allow'), options.headers.get('access-control-allow-origin')]).toEqual([
      204,
      'GET, HEAD, POST, OPTIONS',
      null,
    ])
  })

  test('HEAD is GET without a body', async () => {
    const answer = await send('HEAD', sockets)
    expect([answer.status, answer.text]).toEqual([200, ''])
  })
})

describe('sockets that would be for nobody, or protected by nothing', () => {
  const emails = 'cloud_authentication_email_allowed_addressses'
  const ENABLED = 'cloud_authentication_enabled'
  const domains = 'cloud_authentication_email_allowed_domains'
  test.each([
    ['both lists empty', { visitors: { emails: [], domains: [] } }, 'visitors', { cloud_authentication_enabled: true }, ENABLED],
    [
      'lists with one empty entry, as old clients send them',
      { visitors: { emails: [], domains: [] } },
      'visitors',
      { cloud_authentication_enabled: true, [emails]: [''], [domains]: [''] },
      ENABLED,
    ],
    [
      'protected without a user',
      { password: { user: 'u', password: '' } },
      'password.password',
      { protected_socket: true, protected_username: 'u' },
      'protected_password',
    ],
    [
      'protected on tls',
      { type: 'tls', password: { user: 'u', password: 'p' } },
      'password',
      { socket_type: 'tls', protected_socket: true, protected_username: 'u', protected_password: 'p' },
      'protected_socket',
    ],
  ])('%s: 400 with the name of the dialect', async (_what, ours, path, old, oldPath) => {
    const answers = [
      await api.v1('POST', '/sockets', { body: { name: 'x', ...ours } }),
      await api.old('POST', '/socket', { body: { name: 'x', ...old } }),
    ]
    expect(answers.map(answer => [answer.status, ...paths(answer)])).toEqual([
      [400, path],
      [400, oldPath],
    ])
  })
})

describe('names that nobody knows', () => {
  test('are refused in v1, each with its path, in bodies and queries, and ignored by the compatible dialect', async () => {
    const body = { name: 'x', nmae: 'y', password: { user: 'u', password: 'p', hint: 'h' }, __proto__: null, constructor: 1 }
    expect(paths(await api.v1('POST', '/sockets', { body })).sort()).toEqual(['constructor', 'nmae', 'password.hint'])
    expect(paths(await api.v1('GET', '/sockets?limit=7&page=3'))).toEqual(['page'])
    expect((await api.old('POST', '/socket', { body: { ...body, password: 7 } })).status).toBe(200)
    expect((await api.old('GET', '/socket?page=3')).status).toBe(200)
    expect((await api.v1('POST', '/sockets', { raw: '{"name":"x","__proto__":{"type":"tcp"}}' })).status).toBe(400)
  })

  test.each(['limit=0', 'limit=101', 'limit=x', 'limit=1&limit=2', 'limit[]=1', 'all=yes', 'cursor='])(
    'a query that makes no sense: %s',
    async query => {
      expect(refusal(await api.v1('GET', `/sockets?${query}`))).toMatchObject({ status: 400, error: 'INVALID' })
    },
  )

  test('a call without a body refuses one with members, and takes null and {}', async () => {
    expect((await api.v1('POST', '/sessions/refresh', { body: { x: 1 } })).status).toBe(400)
    for (const raw of ['null', '{}']) expect((await api.v1('POST', '/sessions/refresh', { raw })).status).toBe(200)
  })

  test('a private key is refused where a public one belongs', async () => {
    const jwk = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'secret' }
    const answer = await api.v1('POST', '/connect', { body: { name: 'x', jwk } })
    expect([answer.status, ...paths(answer)]).toEqual([400, 'jwk'])
    expect(answer.text).not.toContain('secret')
  })
})

describe('the address of the client', () => {
  const login = async (of: typeof api, headers: Record<string, string>): Promise<unknown> => {
    await of.v1('POST', '/sessions', { token: null, body: { email: 'ada@example.com', password: PASSWORD }, headers })
    return of.seen.findLast(([call]) => call === 'sessions.login')?.at(-1)
  }

  test('is what our outer layer says, where every request comes through it', async () => {
    expect(await login(api, { 'X-Real-IP': '192.0.2.7', 'X-Forwarded-For': '198.51.100.1' })).toEqual('192.0.2.7')
    expect(await login(api, { 'X-Real-IP': '::ffff:192.0.2.7' })).toEqual('192.0.2.7')
    expect(await login(api, { 'X-Real-IP': 'x; drop' })).toEqual('127.0.0.1')
  })

  test('is that of the connection, where others could say something else', async () => {
    const open = await startApi({ isBehindGateway: false })
    expect(await login(open, { 'X-Real-IP': '192.0.2.7', 'X-Forwarded-For': '192.0.2.7' })).toEqual('127.0.0.1')
  })
})
