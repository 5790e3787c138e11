/** Who is refused, in both dialects: with one answer for all that nobody has to know of an account. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { PASSWORD, startApi, type ApiAnswer } from '../support/api.ts'

const api = await startApi()
const { service, clock } = api.given
const admin = await api.given.actor('admin')

/** Each attempt comes from an address of its own, so that none is one too many. */
let addresses = 0
const elsewhere = (): string => `198.51.100.${++addresses}`
const fromElsewhere = (): Record<string, string> => ({ 'X-Real-IP': elsewhere() })

/** What a client sees, without the id of the request. */
const bodyOf = ({ status, json, headers }: ApiAnswer): object => {
  const { request_id: _id, ...body } = json as Record<string, unknown>
  return { status, ...body, challenge: headers.get('www-authenticate') }
}

const newAccount = async (name: string): Promise<{ readonly id: string; readonly token: string; readonly email: string }> => {
  const email = `${name}@example.com`
  await service.accounts.signUp({ name, email, password: PASSWORD }, elsewhere())
  const { id } = await service.accounts.confirm(await api.given.tokenFor(email))
  return { id, email, token: (await service.sessions.login({ email, password: PASSWORD }, elsewhere())).token }
}

const dialects = [
  { dialect: 'v1', send: api.v1, sockets: '/sockets', login: '/sessions', signUp: '/accounts' },
  { dialect: 'compatible', send: api.old, sockets: '/socket', login: '/login', signUp: '/user' },
] as const

describe.each(dialects)('in the dialect $dialect', ({ dialect, send, sockets, login, signUp }) => {
  const name = (text: string): string => `${text}-${dialect}`

  test('a token that has expired, was revoked, or is of a suspended account is none: 401, as one that nobody has made', async () => {
    const [eve, mallory] = [await newAccount(name('eve')), await newAccount(name('mallory'))]
    const actor = await service.sessions.authenticate(eve.token, elsewhere())
    const make = (expiresAt?: number): Promise<{ token: string; id: string }> =>
      service.apiTokens.create(actor, { name: 'x', scopes: ['read'], ...(expiresAt !== undefined && { expiresAt }) })
    const [brief, revoked] = [await make(clock.now() + 60_000), await make()]
    for (const token of [brief.token, revoked.token, eve.token, mallory.token])
      expect((await send('GET', sockets, { token })).status).toBe(200)
    await service.apiTokens.revoke(actor, revoked.id)
    await service.accounts.suspend(admin, mallory.id)
    clock.advance(60_001)
    const unknown = `sga_${randomBytes(32).toString('base64url')}`
    const answers = await Promise.all([brief.token, revoked.token, mallory.token, unknown].map(token => send('GET', sockets, { token })))
    const [first] = answers.map(bodyOf)
    expect(first).toMatchObject({ status: 401, error: 'UNAUTHENTICATED', challenge: 'Bearer' })
    for (const answer of answers) expect(bodyOf(answer)).toEqual(first)
  })

  test('a wrong password, and an account that is unknown, unconfirmed or suspended: 401 with one text', async () => {
    const [right, suspended] = [await newAccount(name('right')), await newAccount(name('suspended'))]
    await service.accounts.suspend(admin, suspended.id)
    const pending = { name: 'Pending', email: `${name('pending')}@example.com`, password: PASSWORD }
    await service.accounts.signUp(pending, elsewhere())
    const attempts = [
      { email: right.email, password: 'a wrong password' },
      { email: `${name('nobody')}@example.com`, password: PASSWORD },
      { email: pending.email, password: PASSWORD },
      { email: suspended.email, password: PASSWORD },
    ]
    const answers = await Promise.all(attempts.map(body => send('POST', login, { token: null, body, headers: fromElsewhere() })))
    const [first] = answers.map(bodyOf)
    expect(first).toMatchObject({ status: 401, error: 'LOGIN_FAILED' })
    for (const answer of answers) expect(bodyOf(answer)).toEqual(first)
    const good = { email: right.email, password: PASSWORD }
    expect((await send('POST', login, { token: null, body: good, headers: fromElsewhere() })).status).toBeLessThan(300)
  })

  test('a sign-up with an address that has an account says what it says to everybody; the letter tells the owner', async () => {
    const { email } = await newAccount(name('known'))
    const body = { name: 'Somebody', password: 'another password' }
    const [known, fresh] = await Promise.all(
      [email, `${name('fresh')}@example.com`].map(address =>
        send('POST', signUp, { token: null, body: { ...body, email: address }, headers: fromElsewhere() }),
      ),
    )
    expect([known!.status, known!.text]).toEqual([fresh!.status, fresh!.text])
    expect(known!.status).toBeLessThan(300)
    await api.given.tokenFor(`${name('fresh')}@example.com`)
    // The password is still the first one.
    expect((await send('POST', login, { token: null, body: { email, password: PASSWORD }, headers: fromElsewhere() })).status).toBeLessThan(
      300,
    )
    const other = { email, password: 'another password' }
    expect((await send('POST', login, { token: null, body: other, headers: fromElsewhere() })).status).toBe(401)
  })

  test('a sign-up where it is closed: 403', async () => {
    const { config } = api.given
    api.given.config = { ...config, signUp: 'closed' }
    const body = { name: 'Late', email: `${name('late')}@example.com`, password: PASSWORD }
    const answer = await send('POST', signUp, { token: null, body, headers: fromElsewhere() })
    api.given.config = config
    expect(bodyOf(answer)).toMatchObject({ status: 403, error: 'SIGN_UP_CLOSED' })
  })

  test('sign-ups of one address and sockets of one account that are too many: 429 with Retry-After', async () => {
    const headers = fromElsewhere()
    const { id, token } = await newAccount(name('busy'))
    await service.accounts.setLimits(admin, id, { creationsPerHour: 1 })
    const attempts = Array.from({ length: 11 }, (_, count) => ({
      name: 'Many',
      email: `${name(`many${count}`)}@example.com`,
      password: PASSWORD,
    }))
    const answers = []
    for (const body of attempts) answers.push(await send('POST', signUp, { token: null, body, headers }))
    const made = []
    for (let count = 0; count < 2; count++) made.push(await send('POST', sockets, { token, body: { name: 'x' } }))
    for (const many of [answers, made]) {
      const last = many.pop()!
      for (const each of many) expect(each.status).toBeLessThan(300)
      expect(bodyOf(last)).toMatchObject({ status: 429, error: 'RATE_LIMITED' })
      expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0)
    }
  })

  test('protection without a user, or on a port: 400 with the path in the words of the dialect', async () => {
    const bodies =
      dialect === 'v1'
        ? [{ password: { user: '', password: 'p' } }, { type: 'tcp', password: { user: 'u', password: 'p' } }]
        : [
            { protected_socket: true, protected_username: '', protected_password: 'p' },
            { socket_type: 'tcp', protected_socket: true, protected_username: 'u', protected_password: 'p' },
          ]
    const answers = await Promise.all(bodies.map(body => send('POST', sockets, { body: { name: 'x', ...body } })))
    const paths = answers.map(({ json }) => (json as { details: { path: string }[] }).details.map(({ path }) => path).join())
    expect(answers.map(({ status }) => status)).toEqual([400, 400])
    expect(paths).toEqual(dialect === 'v1' ? ['password.user', 'password'] : ['protected_username', 'protected_socket'])
  })
})

test('what only admins may do is 403 for others, and the first thing that is said: what the id means is not', async () => {
  for (const [method, path] of [
    ['GET', '/admin/accounts'],
    ['POST', `/admin/accounts/${api.ids.bob}/suspend`],
    ['POST', '/admin/accounts/00000000-0000-4000-8000-000000000000/suspend'],
  ] as const)
    expect(bodyOf(await api.v1(method, path))).toMatchObject({ status: 403, error: 'FORBIDDEN' })
  expect((await api.v1('GET', '/sockets', { token: 'bob' })).status).toBe(200)
})
