/** Logins of people, with a real provider, through both layers. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createPublicKey, verify } from 'node:crypto'
import { until } from '../support/wait.ts'
import { ADA, AUTH, BOARD, startVisitorLayers, TARGETS, WIKI, type VisitorLayers } from '../support/visitors.ts'

const MATHS = `  maths.example.test: { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { groups: [ops], claims: { department: [maths, physics] } } } }
`

let at: VisitorLayers
beforeAll(async () => {
  at = await startVisitorLayers(TARGETS + MATHS)
})
beforeEach(() => {
  at.oidc.person = ADA
  at.oidc.alter = undefined
  at.aheadMs = 0
  at.saw.length = 0
})

const partsOf = (token: string): readonly Record<string, unknown>[] =>
  token
    .split('.')
    .slice(0, 2)
    .map(part => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>)

describe('a browser', () => {
  test('logs in and comes back to the very page, and the origin is told who it is', async () => {
    const browser = at.browser()
    const visit = await browser.go(`${WIKI}/page?a=1&b=%20x`)
    expect([visit.status, visit.url, visit.body]).toEqual([200, `${WIKI}/page?a=1&b=%20x`, 'origin /page?a=1&b=%20x'])
    const [seen] = at.saw
    expect(seen?.headers).toMatchObject({
      'x-auth-email': 'ada@example.io',
      'x-auth-name': 'Ada Lovelace',
      'x-auth-groups': 'ops,maths',
    })
    expect(seen?.headers.cookie).toBeUndefined()
    const [head, payload] = partsOf(String(seen?.headers['x-sg-identity']))
    expect(head).toMatchObject({ alg: 'ES256', typ: 'JWT' })
    expect(payload).toMatchObject({
      iss: `https://${AUTH}`,
      aud: 'wiki.example.test',
      sub: 'company|ada',
      email: 'ada@example.io',
      lane: 'login',
    })
    expect(Number(payload?.['exp']) - Number(payload?.['iat'])).toBe(60)
  })

  test('can have its identity verified by the keys at the auth host', async () => {
    await at.browser().go(`${WIKI}/`)
    const token = String(at.saw.at(-1)?.headers['x-sg-identity'])
    const jwks = await at.browser().send(`https://${AUTH}/.well-known/jwks.json`)
    const { keys } = JSON.parse(jwks.body) as { keys: Record<string, string>[] }
    const [head] = partsOf(token)
    const jwk = keys.find(({ kid }) => kid === head?.['kid'])
    const [first, second, proof] = token.split('.')
    const key = createPublicKey({ key: jwk as never, format: 'jwk' })
    expect(jwk).not.toHaveProperty('d')
    expect(verify('sha256', Buffer.from(`${first}.${second}`), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(proof!, 'base64url'))).toBe(
      true,
    )
  })

  test('logs in once for all hosts', async () => {
    const browser = at.browser()
    await browser.go(`${WIKI}/`)
    const before = at.oidc.logins
    const visit = await browser.go(`${BOARD}/there`)
    expect([visit.status, visit.url]).toEqual([200, `${BOARD}/there`])
    expect(at.oidc.logins).toBe(before)
  })

  test.each([
    ['a claim and a group that are demanded', { department: ['physics', 'art'], groups: ['ops'] }, 200],
    ['another value of the claim', { department: 'art', groups: ['ops'] }, 403],
    ['no such claim', { groups: ['ops'] }, 403],
    ['the claim and another group', { department: 'maths', groups: ['maths'] }, 403],
  ])('comes in, or does not, with %s, as the provider says it', async (what, said, status) => {
    at.oidc.person = { sub: what, email: 'emmy@example.io', email_verified: true, ...said }
    expect((await at.browser().go('https://maths.example.test/')).status).toBe(status)
    expect(at.saw).toHaveLength(status === 200 ? 1 : 0)
  })

  test('that is known and not among those who may come sees a page, and can be somebody else', async () => {
    at.oidc.person = { sub: 'eve', email: 'eve@elsewhere.test', email_verified: true }
    const browser = at.browser()
    const visit = await browser.go(`${WIKI}/secret`)
    expect(visit.status).toBe(403)
    expect(visit.body).toContain('eve@elsewhere.test')
    expect(at.saw).toEqual([])
    const [, link] = /href="(\/\.sg\/login[^"]*)"/.exec(visit.body) ?? []
    at.oidc.person = ADA
    browser.jar.delete('127.0.0.1') // the provider would have the old one confirm that they leave
    const choice = await browser.go(`${WIKI}${link!.replaceAll('&amp;', '&')}`)
    const links = [...choice.body.matchAll(/href="([^"]*)"/g)].map(([, href]) => href!.replaceAll('&amp;', '&'))
    const again = links.find(href => href.startsWith('/login/start'))
    const second = await browser.go(`https://${AUTH}${again}`)
    expect([second.status, second.url]).toEqual([200, `${WIKI}/secret`])
  })

  test('without a session stays out of everything but what is for all', async () => {
    const browser = at.browser()
    const open = await browser.go(`${WIKI}/open`)
    const hook = await browser.send(`${WIKI}/hooks/x`, { method: 'POST', body: 'x' })
    expect([open.status, hook.status]).toEqual([200, 200])
    expect(at.saw.map(({ headers }) => headers['x-sg-identity'])).toEqual([undefined, undefined])
  })
})

const WEB_SOCKET = {
  ...{ connection: 'Upgrade', upgrade: 'websocket', origin: WIKI },
  ...{ 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
}

describe('a program', () => {
  const sends: readonly [string, Record<string, string>, string][] = [
    ['a fetch', { 'sec-fetch-mode': 'cors', accept: 'text/html' }, 'GET'],
    ['curl', { accept: '*/*' }, 'GET'],
    ['git', { accept: 'application/x-git-upload-pack-result', 'user-agent': 'git/2.39' }, 'GET'],
    ['a POST', { accept: 'text/html', 'sec-fetch-mode': 'navigate' }, 'POST'],
    ['a frame', { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }, 'GET'],
    ['an EventSource', { accept: 'text/event-stream', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }, 'GET'],
    ['a WebSocket', WEB_SOCKET, 'GET'],
    ['gRPC', { 'content-type': 'application/grpc', te: 'trailers' }, 'POST'],
    ['a preflight', { origin: 'https://app.test', 'access-control-request-method': 'PUT', 'sec-fetch-mode': 'cors' }, 'OPTIONS'],
    ['a page that is fetched ahead', { accept: 'text/html', 'sec-purpose': 'prefetch' }, 'GET'],
  ]
  test.each(sends)('gets 401 and no redirect: %s', async (_, headers, method) => {
    const answer = await at.browser().send(`${WIKI}/x`, { method, headers })
    expect([answer.status, answer.headers.location]).toEqual([401, undefined])
    expect(answer.headers['www-authenticate']).toBeTruthy()
    expect(answer.body).toContain('VISITOR_REQUIRED')
    expect(answer.body).toContain('login')
    expect(at.saw).toEqual([])
  })

  test('of another site that the login names is told by the browser what it may do, and why it was refused', async () => {
    const ask = (method: string, origin: string) =>
      at.browser().send('https://apps.example.test/x', {
        method,
        headers: {
          origin,
          'sec-fetch-mode': 'cors',
          ...(method === 'OPTIONS' && { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-a, content-type' }),
        },
      })
    const asked = await ask('OPTIONS', 'https://app.test')
    expect([asked.status, asked.headers]).toEqual([
      204,
      expect.objectContaining({
        'access-control-allow-origin': 'https://app.test',
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': 'PUT',
        'access-control-allow-headers': 'x-a, content-type',
        vary: 'Origin',
      }),
    ])
    const sent = await ask('PUT', 'https://app.test')
    expect([sent.status, sent.headers['access-control-allow-origin']]).toEqual([401, 'https://app.test'])
    for (const method of ['OPTIONS', 'PUT']) {
      const other = await ask(method, 'https://evil.test')
      expect([other.status, other.headers['access-control-allow-origin'], other.headers['vary']]).toEqual([401, undefined, 'Origin'])
    }
    expect(at.saw).toEqual([])
  })

  test('that takes JSON is told which lanes there are', async () => {
    const answer = await at.browser().send(`${WIKI}/x`, { headers: { accept: 'application/json' } })
    expect(JSON.parse(answer.body)).toMatchObject({ status: 401, code: 'VISITOR_REQUIRED', lanes: [{ lane: 'login', url: `${WIKI}/` }] })
  })

  test('cannot say who it is by itself', async () => {
    const forged = {
      'x-auth-email': 'ada@example.io',
      'X-Auth-Groups': 'ops',
      'x-sg-identity': 'a.b.c',
      x_auth_email: 'ada@example.io',
      'x.auth.email': 'y',
    }
    await at.browser().send('https://free.example.test/', { headers: forged })
    await at.browser().send(`${WIKI}/open`, { headers: forged })
    expect(at.saw).toHaveLength(2)
    for (const { headers } of at.saw) expect(Object.keys(headers).filter(name => /auth|identity/.test(name))).toEqual([])
  })
})

describe('the log', () => {
  test('has the person, or a dash, and never the cookie', async () => {
    const browser = at.browser()
    await browser.go(`${WIKI}/logged`)
    await at.browser().send(`${WIKI}/unlogged`)
    const lineOf = (path: string, status: number) => at.layers.accessLog.find(line => line.path === path && line.status === status)
    const unlogged = await until(() => lineOf('/unlogged', 401), { what: 'the line of the refusal' })
    expect(unlogged).toMatchObject({ visitor: '-', error: 'VISITOR_REQUIRED' })
    const logged = await until(() => lineOf('/logged', 200), { what: 'the line of the visit' })
    expect(logged).toMatchObject({ visitor: 'ada@example.io' })
    const cookie = browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!
    expect(JSON.stringify(at.layers.accessLog)).not.toContain(cookie)
  })
})
