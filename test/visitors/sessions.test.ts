/** Sessions of people who have logged in: how long they last, what ends them, and who may use them. */
import { beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createKeyRing, createKeyText, readKeys, rotateKeyText } from '../../src/visitors/session/key-ring.ts'
import type { Revocation } from '../../src/visitors/session/revocations.ts'
import { SessionWatch } from '../../src/visitors/session/session-watch.ts'
import { WebSocket } from 'ws'
import { exchange } from '../support/exchange.ts'
import { watch } from '../support/websocket.ts'
import { once, until } from '../support/wait.ts'
import { ADA, AUTH, BOARD, startVisitorLayers, WIKI, type VisitorLayers } from '../support/visitors.ts'

const keyText = createKeyText(Date.now())

let at: VisitorLayers
beforeAll(async () => {
  at = await startVisitorLayers()
})
beforeEach(() => {
  at.oidc.person = ADA
  at.oidc.alter = undefined
  at.aheadMs = 0
  at.saw.length = 0
})

describe('sessions', () => {
  const loggedIn = async () => {
    const browser = at.browser()
    await browser.go(`${WIKI}/`)
    return browser
  }
  const status = async (browser: Awaited<ReturnType<typeof loggedIn>>): Promise<number> => (await browser.send(`${WIKI}/x`)).status

  test('end after their time', async () => {
    const browser = await loggedIn()
    expect(await status(browser)).toBe(200)
    at.aheadMs = 8 * 3_600_000 + 1_000
    expect(await status(browser)).toBe(401)
  })

  test('end after nobody was there for long enough, and not while somebody is', async () => {
    const before = at.config
    at.config = { ...before, idleMs: 3_600_000 }
    try {
      const browser = await loggedIn()
      for (let i = 1; i <= 4; i++) {
        at.aheadMs = i * 1_800_000
        expect(await status(browser)).toBe(200)
      }
      at.aheadMs += 3_700_000
      expect(await status(browser)).toBe(401)
    } finally {
      at.config = before
    }
  })

  test('are renewed by an answer that is due, and by no other of the same cookie', async () => {
    const before = at.config
    const browser = await loggedIn()
    const cookie = `__Host-sg-login-visitor=${browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!}`
    const renewed = async (): Promise<boolean> => {
      const { status: given, headers } = await at.browser().send(`${WIKI}/`, { headers: { cookie } })
      expect(given).toBe(200)
      return headers['set-cookie'] !== undefined
    }
    try {
      expect(await renewed()).toBe(false)
      at.config = { ...before, idleMs: 3_600_000 }
      at.aheadMs = 1_800_000
      expect([await renewed(), await renewed()]).toEqual([true, true])
      at.config = before
      expect(await renewed()).toBe(false)
    } finally {
      at.config = before
    }
  })

  test('are for their host alone', async () => {
    const browser = await loggedIn()
    const cookie = browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!
    const other = await at.browser().send(`${BOARD}/`, { headers: { cookie: `__Host-sg-login-visitor=${cookie}` } })
    expect(other.status).toBe(401)
  })

  test('tell the origin who comes once in each request, and never who came beside, however often', async () => {
    const people = [ADA, { sub: 'bob', email: 'bob@corp.test', email_verified: true, name: 'Bob', groups: ['maths'] }] as const
    const browsers: Awaited<ReturnType<typeof loggedIn>>[] = []
    for (const person of people) {
      at.oidc.person = person
      browsers.push(await loggedIn())
    }
    at.saw.length = 0
    const who = ['ada@example.io', 'bob@corp.test']
    for (let round = 0; round < 5; round++)
      await Promise.all(
        Array.from({ length: 8 }, (_, i) => {
          const asked = { headers: { accept: '*/*', 'x-auth-email': 'eve@example.io', 'x-sg-identity': 'forged' } }
          return browsers[i % 2]!.send(`${WIKI}/${who[i % 2]!}`, i < 4 ? asked : { ...asked, method: 'PUT', body: 'some text' })
        }),
      )
    expect(at.saw).toHaveLength(40)
    for (const { path, rawHeaders } of at.saw) {
      const names = rawHeaders.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase())
      const valueOf = (name: string): string | undefined => rawHeaders[2 * names.indexOf(name) + 1]
      for (const name of ['x-auth-email', 'x-auth-name', 'x-auth-groups', 'x-sg-identity'])
        expect([name, names.filter(each => each === name).length]).toEqual([name, 1])
      const claims = JSON.parse(Buffer.from(valueOf('x-sg-identity')!.split('.')[1]!, 'base64url').toString()) as { email: string }
      expect([valueOf('x-auth-email'), claims.email]).toEqual([path.slice(1), path.slice(1)])
      expect(names).not.toContain('cookie')
    }
  })

  test('are not found in a cookie that another host could have planted', async () => {
    const browser = await loggedIn()
    const cookie = browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!
    const planted = await at.browser().send(`${WIKI}/`, { headers: { cookie: `sg-login-visitor=${cookie}` } })
    expect(planted.status).toBe(401)
  })

  test('are none over http, nor can anybody log in there', async () => {
    const browser = await loggedIn()
    const cookie = browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!
    const plain = await at.browser().send('http://wiki.example.test/', { headers: { cookie: `sg-login-visitor=${cookie}` } })
    expect(plain.status).toBe(401)
    const visit = await at.browser().go('http://wiki.example.test/')
    expect([visit.status, /needs https/.test(visit.body), visit.headers['set-cookie']]).toEqual([403, true, undefined])
  })

  test('outlive a change of keys as long as the old key is there', async () => {
    const browser = await loggedIn()
    const before = at.keys
    try {
      at.keys = readKeys(rotateKeyText(keyText, Date.now()))
      expect(await status(browser)).toBe(401) // keys of somebody else
      at.keys = createKeyRing([...readKeys(keyText).all, ...before.all])
      expect(await status(browser)).toBe(200)
    } finally {
      at.keys = before
    }
  })

  test.each([
    ['all', () => ({ kind: 'all' })],
    ['a person', () => ({ kind: 'email', email: 'ADA@example.io' })],
    ['an account', () => ({ kind: 'account', provider: 'company', subject: 'ada' })],
  ])('are revoked at once: %s', async (_, of) => {
    const browser = await loggedIn()
    expect(await status(browser)).toBe(200)
    at.visitors.revocations.add([{ ...of(), atMs: Date.now() + at.aheadMs } as Revocation])
    expect(await status(browser)).toBe(401)
    at.aheadMs += 10
    const again = at.browser()
    await again.go(`${WIKI}/`)
    expect(await status(again)).toBe(200)
  })

  test('that are revoked moments after a login lead to another one, of which somebody has to be asked', async () => {
    at.oidc.person = { sub: 'carl', email: 'carl@corp.test', email_verified: true }
    const browser = await loggedIn()
    // By a clock that is ahead: what is begun now is over as well.
    at.visitors.revocations.add([{ kind: 'email', email: 'carl@corp.test', atMs: Date.now() + at.aheadMs + 60_000 }])
    const count = at.oidc.logins
    const asked = await browser.go(`${WIKI}/again`)
    expect([asked.status, asked.url.startsWith(`https://${AUTH}/login?`), at.oidc.logins]).toEqual([200, true, count])
    expect(asked.body).toContain('The company')
    at.aheadMs += 61_000
    const [, link] = /href="(\/login\/start[^"]*)"/.exec(asked.body) ?? []
    const there = await browser.go(`https://${AUTH}${link!.replaceAll('&amp;', '&')}`)
    expect([there.url, at.oidc.logins]).toEqual([`${WIKI}/again`, count + 1])
  })

  test('of somebody else are not', async () => {
    const browser = await loggedIn()
    at.visitors.revocations.add([{ kind: 'email', email: 'bob@example.io', atMs: Date.now() + 1_000 }])
    expect(await status(browser)).toBe(200)
  })

  test('end here by a logout, and the next login asks who it is', async () => {
    const browser = await loggedIn()
    const cookie = browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!
    const page = await browser.go(`${WIKI}/.sg/logout`)
    expect(page.body).toContain('ada@example.io')
    const headers = { origin: WIKI, 'sec-fetch-site': 'same-origin' }
    const out = await browser.go(`${WIKI}/.sg/logout`, { method: 'POST', headers, body: 'scope=here' })
    expect([out.status, out.body.includes('logged out')]).toEqual([200, true])
    // Also one that was copied before.
    expect((await at.browser().send(`${WIKI}/`, { headers: { cookie: `__Host-sg-login-visitor=${cookie}` } })).status).toBe(401)
    const next = await browser.go(`${WIKI}/back`)
    expect(next.url).toContain(`https://${AUTH}/login`)
    expect(next.body).toContain('Go on as ada@example.io')
    const [, link] = /href="(\/login\?as=known[^"]*)"/.exec(next.body) ?? []
    expect((await browser.go(`https://${AUTH}${link!.replaceAll('&amp;', '&')}`)).url).toBe(`${WIKI}/back`)
    expect(at.persisted.at(-1)).toMatchObject({ kind: 'session' })
  })

  test('end everywhere by a logout everywhere', async () => {
    const browser = await loggedIn()
    const elsewhere = await loggedIn()
    await browser.go(`${BOARD}/`)
    const headers = { origin: WIKI, 'sec-fetch-site': 'same-origin' }
    await browser.go(`${WIKI}/.sg/logout`, { method: 'POST', headers, body: 'scope=everywhere' })
    expect(await Promise.all([browser.send(`${BOARD}/`), elsewhere.send(`${WIKI}/`)].map(async each => (await each).status))).toEqual([
      401, 401,
    ])
    at.aheadMs += 10
  })

  test('end at the provider as well, by a link of the page, which comes back', async () => {
    const browser = await loggedIn()
    const headers = { origin: WIKI, 'sec-fetch-site': 'same-origin' }
    const out = await browser.go(`${WIKI}/.sg/logout`, { method: 'POST', headers, body: 'scope=everywhere' })
    at.aheadMs += 10
    const [, link] = /href="(http:\/\/127[^"]*)">Log out of The company/.exec(out.body) ?? []
    const end = new URL(link!.replaceAll('&amp;', '&'))
    expect(Object.fromEntries(end.searchParams)).toEqual({ client_id: 'gateway', post_logout_redirect_uri: `https://${AUTH}/logged-out` })
    const asked = await browser.go(end.href)
    const [, xsrf] = /name="xsrf" value="([^"]*)"/.exec(asked.body) ?? []
    const [, action] = /action="([^"]*)"/.exec(asked.body) ?? []
    const back = await browser.go(action!, { method: 'POST', body: `xsrf=${xsrf}&logout=yes` })
    expect([back.status, back.url.startsWith(`https://${AUTH}/logged-out`)]).toEqual([200, true])
    const before = at.oidc.logins
    const choice = await browser.go(`${WIKI}/`)
    const [, start] = /href="(\/login\/start[^"]*)"/.exec(choice.body) ?? []
    expect((await browser.go(`https://${AUTH}${start!.replaceAll('&amp;', '&')}`)).status).toBe(200)
    expect(at.oidc.logins).toBe(before + 1)
  })

  test('end here even while the provider is away', async () => {
    const browser = await loggedIn()
    const before = at.config
    const company = before.providers.get('company')!
    at.config = { ...before, providers: new Map([['company', { ...company, issuer: 'http://127.0.0.1:9' }]]) }
    try {
      const headers = { origin: WIKI, 'sec-fetch-site': 'same-origin' }
      const out = await browser.go(`${WIKI}/.sg/logout`, { method: 'POST', headers, body: 'scope=here' })
      expect([out.status, out.body.includes('Log out of')]).toEqual([200, false])
    } finally {
      at.config = before
    }
  })

  test('are not ended by another site', async () => {
    const browser = await loggedIn()
    for (const headers of [{ origin: 'https://evil.test' }, { origin: 'null' }, { 'sec-fetch-site': 'same-site', origin: WIKI }, {}])
      expect((await browser.send(`${WIKI}/.sg/logout`, { method: 'POST', headers, body: 'scope=everywhere' })).status).toBe(403)
    expect(await status(browser)).toBe(200)
  })

  test('are used by pages of their host alone, where something is changed', async () => {
    const browser = await loggedIn()
    const post = async (headers: Record<string, string>): Promise<number> =>
      (await browser.send(`${WIKI}/x`, { method: 'POST', headers, body: 'x' })).status
    expect(await post({ origin: WIKI })).toBe(200)
    expect(await post({ origin: 'null', 'sec-fetch-site': 'same-origin' })).toBe(200)
    expect(await post({ origin: 'https://board.example.test', 'sec-fetch-site': 'same-site' })).toBe(403)
    expect(await post({ origin: 'null' })).toBe(403)
    expect(await post({ origin: 'http://wiki.example.test' })).toBe(403)
  })
})

describe('what is open', () => {
  test('ends with its session: a download', async () => {
    const browser = at.browser()
    await browser.go(`${WIKI}/`)
    const cookie = `__Host-sg-login-visitor=${browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!}`
    let begun = 0
    const download = exchange(at.layers.port, {
      host: 'wiki.example.test',
      path: '/endless',
      headers: { cookie, 'x-forwarded-proto': 'https' },
      onData: () => begun++,
    })
    await until(() => begun > 0, { what: 'the download' })
    at.visitors.revocations.add([{ kind: 'email', email: 'ada@example.io', atMs: Date.now() }])
    expect((await download).isComplete).toBe(false)
    const line = await until(() => at.layers.accessLog.find(({ path }) => path === '/endless'))
    expect(line.error).toBe('VISITOR_SESSION_OVER')
    at.aheadMs = 10
  })

  test('a WebSocket is told why it ends, with a close frame', async () => {
    at.aheadMs = 20
    const browser = at.browser()
    await browser.go(`${WIKI}/`)
    const cookie = `__Host-sg-login-visitor=${browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!}`
    const socket = new WebSocket(`ws://127.0.0.1:${at.layers.port}/ws`, {
      headers: { host: 'wiki.example.test', origin: WIKI, cookie, 'x-forwarded-proto': 'https' },
    })
    const end = watch(socket)
    await once(socket, 'open')
    socket.send('there')
    await until(() => end.messages.length === 1, { what: 'the echo' })
    at.visitors.revocations.add([{ kind: 'email', email: 'ada@example.io', atMs: Date.now() + at.aheadMs }])
    await until(() => end.closed.length === 1, { what: 'the close' })
    expect([end.messages.map(String), end.closed]).toEqual([['there'], [{ code: 1_008, reason: 'VISITOR_SESSION_OVER' }]])
    expect(at.saw.at(-1)?.headers['x-auth-email']).toBe('ada@example.io')
    at.aheadMs += 10
  })

  test('ends when the time of its session is over, with a code that says why', async () => {
    at.aheadMs = 40
    const browser = at.browser()
    await browser.go(`${WIKI}/`)
    const headers = {
      host: 'wiki.example.test',
      origin: WIKI,
      cookie: `__Host-sg-login-visitor=${browser.cookie('wiki.example.test', '__Host-sg-login-visitor')!}`,
      'x-forwarded-proto': 'https',
    }
    const socket = new WebSocket(`ws://127.0.0.1:${at.layers.port}/ws`, { headers })
    const end = watch(socket)
    await once(socket, 'open')
    let begun = 0
    const lines = at.layers.accessLog.filter(({ error }) => error === 'VISITOR_SESSION_OVER').length
    const download = exchange(at.layers.port, { ...{ host: headers.host, path: '/endless', headers }, onData: () => begun++ })
    await until(() => begun > 0, { what: 'the download' })
    // A look before the end: both go on.
    at.aheadMs = 8 * 3_600_000 - 60_000
    at.visitors.revocations.add([{ kind: 'session', atMs: Date.now(), id: 'of somebody else' }])
    socket.send('there')
    await until(() => end.messages.length === 1, { what: 'the echo' })
    // The look behind it, which otherwise comes by itself (below).
    at.aheadMs = 8 * 3_600_000 + 1_000
    at.visitors.revocations.add([{ kind: 'session', atMs: Date.now(), id: 'of somebody else again' }])
    await until(() => end.closed.length === 1, { what: 'the close' })
    expect(end.closed).toEqual([{ code: 1_008, reason: 'VISITOR_SESSION_OVER' }])
    expect((await download).isComplete).toBe(false)
    const over = await until(() => {
      const found = at.layers.accessLog.filter(({ error }) => error === 'VISITOR_SESSION_OVER').slice(lines)
      return found.length === 2 ? found : undefined
    })
    for (const line of over) expect(line['reason']).toBe('the session has lasted as long as it may')
  })

  test('is looked at within a minute, again and again', () => {
    jest.useFakeTimers()
    try {
      const ends: string[] = []
      const session = { over: undefined as string | undefined }
      const looks = new SessionWatch(thrown => {
        throw thrown
      })
      const leave = looks.watch(
        () => session.over,
        reason => ends.push(reason),
      )
      looks.watch(
        () => undefined,
        () => ends.push('another one'),
      )
      jest.advanceTimersByTime(600_000)
      expect(ends).toEqual([])
      session.over = 'its time is over'
      jest.advanceTimersByTime(60_000)
      expect([ends, looks.size]).toEqual([['its time is over'], 1])
      leave()
      looks.close()
      expect(jest.getTimerCount()).toBe(0)
    } finally {
      jest.useRealTimers()
    }
  })

  test('no WebSocket opens without Origin, or for a page of another host', async () => {
    const browser = at.browser()
    at.aheadMs = 60
    await browser.go(`${WIKI}/`)
    const ask = async (headers: Record<string, string>): Promise<number> =>
      (
        await browser.send(`${WIKI}/socket`, {
          headers: {
            connection: 'upgrade',
            upgrade: 'websocket',
            'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
            'sec-websocket-version': '13',
            ...headers,
          },
        })
      ).status
    expect(await ask({})).toBe(403)
    expect(await ask({ origin: BOARD })).toBe(403)
    expect(await ask({ origin: 'null', 'sec-fetch-site': 'same-origin' })).toBe(403)
    expect(await ask({ origin: WIKI })).toBe(200) // the origin does not switch
    expect(
      (await at.browser().send(`${WIKI}/socket`, { headers: { connection: 'upgrade', upgrade: 'websocket', origin: WIKI } })).status,
    ).toBe(401)
  })
})
