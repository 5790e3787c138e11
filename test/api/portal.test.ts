/** The host of the portal: whose login counts there, and for which requests. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { PASSWORD, startApi, type ApiAnswer, type RunningApi } from '../support/api.ts'

const HOST = 'portal.example.com'
const PORTAL = {
  host: HOST,
  isSecure: true,
  service: { zone: 'edge.example.com', api: 'https://api.example.com' },
  providers: [{ name: 'company', title: 'Example Corp' }],
}
let api: RunningApi

beforeAll(async () => {
  api = await startApi({ portal: PORTAL })
})

/** Fields of a request that a page of the portal sends. */
const PAGE = {
  host: HOST,
  origin: `https://${HOST}`,
  'sec-fetch-site': 'same-origin',
  'x-requested-with': 'console',
  'content-type': 'application/json',
}

const send = (method: string, path: string, headers: Record<string, string>, body: unknown = {}): Promise<ApiAnswer> =>
  api.old(method, path, { token: null, headers, ...(method !== 'GET' && { body }) })

const login = async (): Promise<string> => {
  const answer = await send('POST', '/portal/session', PAGE, { email: 'ada@example.com', password: PASSWORD })
  expect(answer.status).toBe(200)
  expect(Object.keys(answer.json as object)).toEqual(['expiresAt'])
  const field = answer.headers.get('set-cookie')!
  expect(field).toMatch(/^__Host-sg-portal=[\w.-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+; Secure$/)
  return field.split(';')[0]!
}

describe('the portal', () => {
  test('serves the console at its own host, and the API with nothing else', async () => {
    const page = await send('GET', '/', { host: HOST })
    expect(page.status).toBe(200)
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self'; /)
    expect(page.text).toContain('&#34;role&#34;:&#34;user&#34;')
    expect((await send('GET', '/', { host: `${HOST.toUpperCase()}:8443` })).status).toBe(200)
    for (const path of ['/connect', '/socket', '/swagger.json', '/invitation', '/portal/other'])
      expect([path, (await send('GET', path, { host: HOST })).status]).toEqual([path, 404])
    for (const host of ['api.example.com', 'portal.example.org']) {
      expect((await send('GET', '/', { host })).status).toBe(404)
      expect((await send('POST', '/portal/session', { ...PAGE, host, origin: `https://${host}` })).status).toBe(404)
    }
  })

  test('keeps a login in a cookie that no script reads, and that ends with it', async () => {
    const cookie = await login()
    const account = await send('GET', '/api/v1/account', { host: HOST, 'sec-fetch-site': 'same-origin', cookie: `a=1; ${cookie}; b=2` })
    expect(account.json).toMatchObject({ email: 'ada@example.com' })
    const refreshed = await send('POST', '/portal/session/refresh', { ...PAGE, cookie })
    expect([refreshed.status, refreshed.headers.get('set-cookie')]).toEqual([200, expect.stringContaining('__Host-sg-portal=')])
    const out = await send('DELETE', '/portal/session', { ...PAGE, cookie })
    expect([out.status, out.headers.get('set-cookie')]).toEqual([
      204,
      '__Host-sg-portal=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure',
    ])
    expect((await send('DELETE', '/api/v1/sessions', { ...PAGE, cookie })).status).toBe(204)
    expect((await send('GET', '/api/v1/account', { host: HOST, cookie })).status).toBe(401)
    expect((await send('POST', '/portal/session/refresh', { ...PAGE, cookie })).status).toBe(401)
  })

  test('takes a login by its cookie from its own pages alone', async () => {
    const cookie = await login()
    const make = (fields: Record<string, string | undefined>): Promise<ApiAnswer> => {
      const given = Object.entries({ ...PAGE, cookie, ...fields }).filter((entry): entry is [string, string] => entry[1] !== undefined)
      return send('POST', '/api/v1/sockets', Object.fromEntries(given), { name: 'by a page' })
    }
    for (const fields of [
      { 'x-requested-with': undefined },
      { origin: 'https://evil.example' },
      { origin: 'https://tenant.edge.example.com' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'content-type': 'text/plain' },
    ])
      expect([fields, (await make(fields)).json]).toEqual([fields, expect.objectContaining({ error: 'FORBIDDEN' })])
    for (const site of ['cross-site', 'same-site', 'none'])
      expect((await send('GET', '/api/v1/account', { host: HOST, cookie, 'sec-fetch-site': site })).status).toBe(403)
    // At the host of the API a cookie says nothing.
    expect((await make({ host: 'api.example.com', origin: 'https://api.example.com' })).status).toBe(401)
    for (const broken of ['__Host-sg-portal=', '__Host-sg-portal=a b', 'sg-portal=x', `__Host-sg-portal=${'x'.repeat(5_000)}`])
      expect((await send('GET', '/api/v1/account', { host: HOST, cookie: broken })).status).toBe(401)
    expect((await make({})).status).toBe(201)
  })

  test('logs nobody in from elsewhere, nor by a wrong password', async () => {
    const body = { email: 'ada@example.com', password: PASSWORD }
    expect((await send('POST', '/portal/session', { ...PAGE, origin: 'https://evil.example' }, body)).status).toBe(403)
    expect((await send('POST', '/portal/session', { ...PAGE, 'x-requested-with': '' }, body)).status).toBe(403)
    expect((await send('POST', '/portal/session', PAGE, { ...body, password: 'wrong password' })).json).toMatchObject({
      error: 'LOGIN_FAILED',
    })
    expect((await send('POST', '/portal/session', PAGE, { email: 7 })).status).toBe(400)
    expect((await send('DELETE', '/portal/session', { host: HOST })).status).toBe(403)
  })

  test('logs in whom the gateway has let in by a provider, to the account with exactly that address, and says where there is none', async () => {
    const at = '/portal/sign-in/company'
    const arrive = async (email?: string, path = at, host = HOST): Promise<string> => {
      const { status, headers } = await send('GET', path, { host, ...(email !== undefined && { 'x-auth-email': email }) })
      return `${status} ${headers.get('location') ?? '-'} ${headers.get('set-cookie')?.split('=')[0] ?? '-'}`
    }
    const entered = '303 / __Host-sg-portal'
    expect([await arrive('ada@example.com'), await arrive('Ada@Example.com')]).toEqual([entered, entered])
    const unknown = '303 /#/no-account -'
    // The sign for Kelvin is a "k" for Unicode, and another person at the provider.
    for (const email of [
      undefined,
      '',
      'eve@example.com',
      'ada@example.com, bob@example.com',
      'ad\u0430@example.com',
      '\u212a@example.com',
    ])
      expect([email, await arrive(email && Buffer.from(email).toString('latin1'))]).toEqual([email, unknown])
    for (const path of [`${at}/`, '/portal/sign-in/Company', '/Portal/sign-in/company', '/portal/sign-in/partner', `${at}%2f`])
      expect([path, await arrive('ada@example.com', path)]).toEqual([path, '404 - -'])
    expect(await arrive('ada@example.com', at, 'api.example.com')).toBe('404 - -')
    await api.v1('POST', `/admin/accounts/${api.ids.bob}/suspend`, { token: 'root' })
    expect(await arrive('bob@example.com')).toBe(unknown)
    await api.v1('POST', `/admin/accounts/${api.ids.bob}/resume`, { token: 'root' })
    const open = await startApi({ portal: PORTAL, isBehindGateway: false })
    const forged = { host: HOST, 'x-auth-email': 'ada@example.com' }
    expect((await open.old('GET', at, { token: null, headers: forged })).status).toBe(404)
  })
})
