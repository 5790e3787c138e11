/** What clients send in the fields by which origins are told who comes: over HTTP/1, HTTP/2, behind the body, and for WebSockets. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { request } from 'node:http'
import { ADA, BOARD, startVisitorLayers, TARGETS, WIKI, type VisitorLayers } from '../support/visitors.ts'

const FORGED: Readonly<Record<string, string>> = {
  'x-auth-email': 'root@example.io',
  'x-auth-name': 'Root',
  'x-auth-groups': 'admins',
  'x-sg-identity': 'e30.e30.x',
  'x-sg-anything': 'x',
  x_auth_email: 'root@example.io',
  'x.auth.email': 'root@example.io',
}
const names = (headers: object): readonly string[] => Object.keys(headers).filter(name => /auth|identity|anything/.test(name))

let at: VisitorLayers
beforeAll(async () => {
  at = await startVisitorLayers(undefined, { layers: { outer: { appH2c: true } } })
})
beforeEach(() => {
  at.oidc.person = ADA
  at.saw.length = 0
})

/** A request by HTTP/1.1 with a body in chunks, and what is said behind it. */
const withTrailers = (host: string, path: string, cookie: string | undefined): Promise<number> =>
  new Promise((resolve, reject) => {
    const headers = {
      host,
      'x-forwarded-proto': 'https',
      trailer: Object.keys(FORGED).join(', '),
      ...FORGED,
      ...(cookie !== undefined && { cookie }),
    }
    const sent = request({ host: '127.0.0.1', port: at.layers.port, method: 'POST', path, agent: false, headers }, answer => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.on('error', reject)
    sent.write('x')
    sent.addTrailers({ ...FORGED, 'X-Harmless': 'yes' })
    sent.end()
  })

const byHttp2 = async (host: string, path: string, cookie: string | undefined): Promise<number> => {
  const session = connect(`http://127.0.0.1:${at.layers.port}`)
  try {
    return await new Promise<number>((resolve, reject) => {
      session.on('error', reject)
      const stream = session.request(
        {
          ':method': 'POST',
          ':path': path,
          ':authority': host,
          'x-forwarded-proto': 'https',
          ...FORGED,
          ...(cookie !== undefined && { cookie }),
        },
        { waitForTrailers: true },
      )
      let status = 0
      stream.on('response', headers => (status = Number(headers[':status'])))
      stream.on('wantTrailers', () => stream.sendTrailers({ ...FORGED, 'x-harmless': 'yes' }))
      stream.on('error', reject)
      stream.resume().on('end', () => resolve(status))
      stream.end('x')
    })
  } finally {
    session.close()
  }
}

/** Asks for a WebSocket by HTTP/1.1. @returns the status */
const upgrade = (host: string, more: Readonly<Record<string, string>>): Promise<number> =>
  new Promise((resolve, reject) => {
    const headers = {
      host,
      'x-forwarded-proto': 'https',
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
      ...FORGED,
      ...more,
    }
    const sent = request({ host: '127.0.0.1', port: at.layers.port, path: '/ws', agent: false, headers })
    sent.on('upgrade', (answer, socket) => {
      socket.destroy()
      resolve(answer.statusCode ?? 0)
    })
    sent.on('response', answer => answer.resume().on('end', () => resolve(answer.statusCode ?? 0)))
    sent.on('error', reject)
    sent.end()
  })

/** The same by HTTP/2 (RFC 8441). */
const extendedConnect = async (host: string, more: Readonly<Record<string, string>>): Promise<number> => {
  const session = connect(`http://127.0.0.1:${at.layers.port}`)
  try {
    await once(session, 'remoteSettings')
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/ws',
      ':authority': host,
      'x-forwarded-proto': 'https',
      'sec-websocket-version': '13',
      ...FORGED,
      ...more,
    })
    const [headers] = (await once(stream, 'response')) as [Readonly<Record<string, unknown>>]
    return Number(headers[':status'])
  } finally {
    session.destroy()
  }
}

test.each([
  ['HTTP/1.1', withTrailers],
  ['HTTP/2', byHttp2],
])('%s: nothing of it reaches an origin that nobody is named to', async (_, send) => {
  expect(await send('free.example.test', '/', undefined)).toBe(200)
  expect(await send('wiki.example.test', '/open', undefined)).toBe(200)
  expect(at.saw).toHaveLength(2)
  for (const { headers, trailers } of at.saw) expect([names(headers), names(trailers)]).toEqual([[], []])
  expect(at.saw.map(({ trailers }) => trailers['x-harmless'])).toEqual(['yes', 'yes'])
})

test.each([
  ['HTTP/1.1', withTrailers],
  ['HTTP/2', byHttp2],
])('%s: what the gateway says stands alone', async (_, send) => {
  const browser = at.browser()
  await browser.go(`${WIKI}/`)
  at.saw.length = 0
  const cookie = `a=1; __Host-sg-login-visitor=${browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!}; b=2`
  expect(await send('wiki.example.test', '/x', cookie)).toBe(200)
  const { headers, trailers } = at.saw[0]!
  expect(headers).toMatchObject({ 'x-auth-email': 'ada@example.io', 'x-auth-name': 'Ada Lovelace', 'x-auth-groups': 'ops,maths' })
  expect(String(headers['x-sg-identity'])).toMatch(/^[\w-]+\.[\w-]+\.[\w-]{86}$/)
  expect(names(headers)).toHaveLength(4)
  expect(names(trailers)).toEqual([])
  expect(headers.cookie).toBe('a=1; b=2')
})

describe.each([
  ['HTTP/1.1', upgrade, 101],
  ['HTTP/2', extendedConnect, 200],
])('a WebSocket by %s', (_, ask, opened) => {
  const loggedIn = async (): Promise<{ readonly cookie: string }> => {
    const browser = at.browser()
    await browser.go(`${WIKI}/`)
    at.saw.length = 0
    return { cookie: `a=1; __Host-sg-login-visitor=${browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!}` }
  }

  test('opens for nobody without a session, without Origin, or for a page of another host', async () => {
    const session = await loggedIn()
    expect(await ask('wiki.example.test', { origin: WIKI })).toBe(401)
    expect(await ask('wiki.example.test', session)).toBe(403)
    for (const origin of [BOARD, 'null', `${WIKI}.evil.test`, `${WIKI}:444`, 'http://wiki.example.test'])
      expect([origin, await ask('wiki.example.test', { ...session, origin })]).toEqual([origin, 403])
    expect(at.saw).toEqual([])
  })

  test('has nothing of what the client says of itself, and all that the gateway says', async () => {
    expect(await ask('free.example.test', {})).toBe(opened)
    expect(names(at.saw[0]!.headers)).toEqual([])
    const session = await loggedIn()
    expect(await ask('wiki.example.test', { ...session, origin: WIKI })).toBe(opened)
    const { headers } = at.saw[0]!
    expect(headers).toMatchObject({ 'x-auth-email': 'ada@example.io', 'x-auth-name': 'Ada Lovelace', 'x-auth-groups': 'ops,maths' })
    expect(names(headers)).toHaveLength(4)
    expect(headers.cookie).toBe('a=1')
  })
})

test('a proxy that is named for these fields is believed where nobody is asked who they are, and nowhere else', async () => {
  const trustFields = 'trustFields: [X-Auth-Email, X-Auth-Name, X-Auth-Groups, X-SG-Identity]'
  const named = await startVisitorLayers(TARGETS.replaceAll('port: {port}', `port: {port}, ${trustFields}`))
  named.oidc.person = { ...ADA, groups: [] }
  const browser = named.browser()
  await browser.go(`${WIKI}/`)
  named.saw.length = 0
  expect((await browser.send('https://free.example.test/', { headers: FORGED })).status).toBe(200)
  expect((await browser.send(`${WIKI}/x`, { headers: FORGED })).status).toBe(200)
  expect((await named.browser().send(`${WIKI}/open`, { headers: FORGED })).status).toBe(200)
  const told = named.saw.map(({ headers }) => names(headers).map(name => [name, headers[name]]))
  expect(told).toEqual([
    ['x-auth-email', 'x-auth-name', 'x-auth-groups', 'x-sg-identity'].map(name => [name, FORGED[name]]),
    // The session has no group, and a forged one does not take its place.
    [
      ['x-auth-email', 'ada@example.io'],
      ['x-auth-name', 'Ada Lovelace'],
      ['x-sg-identity', expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]{86}$/)],
    ],
    [],
  ])
})

test('names that a field cannot hold are told all the same, without what would end it', async () => {
  at.oidc.person = {
    sub: 'odd',
    email: 'odd@corp.test',
    email_verified: true,
    name: 'Zo\u00eb \u2603\r\nX-Evil: 1',
    groups: ['a,b', '100%', 'x\ny'],
  }
  await at.browser().go(`${WIKI}/`)
  const { headers } = at.saw.at(-1)!
  expect(headers['x-evil']).toBeUndefined()
  expect(Buffer.from(String(headers['x-auth-name']), 'latin1').toString('utf8')).toBe('Zo\u00eb \u2603  X-Evil: 1')
  expect(headers['x-auth-groups']).toBe('a%2Cb,100%25,x y')
})
