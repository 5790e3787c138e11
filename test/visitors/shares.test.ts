/** Share links: for one page, for a time, so often and no oftener. */
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { run } from '../cli/context.ts'
import { createKeyText, readKeys } from '../../src/visitors/session/key-ring.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { sealShare } from '../../src/visitors/shares/share.ts'
import { ShareUses } from '../../src/visitors/shares/share-uses.ts'
import { sessionText, type Session } from '../../src/visitors/session/session.ts'
import { startLaneLayers, writeVisitorsFiles, type LaneLayers } from '../support/lanes.ts'
import { valuesOf } from '../support/raw-message.ts'
import { RawConnection, type RawResponse } from '../support/raw-client.ts'
import { rawResponse } from '../support/raw-origin.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const ORIGIN = 'protocol: http, hostname: 127.0.0.1, port: {port}'
const LOGIN = 'login: {emails: [boss@example.test]}'
const TARGETS = `
targets:
  wiki.test: {${ORIGIN}, access: {tokens: true, public: ['^/open/.*']}}
  other.test: {${ORIGIN}, access: {tokens: true}}
  login.test: {${ORIGIN}, access: {${LOGIN}}}
`
const BROWSER = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document', 'Accept: text/html']

let made: LaneLayers

interface Link {
  readonly id: string
  /** Path and query. */
  readonly target: string
  readonly sealed: string
}

const share = async (url: string, args: readonly string[] = [], file = made.file): Promise<Link> => {
  const { status, stdout, stderr } = await run(['share', url, '--visitors', file, ...args])
  expect([status, stderr]).toEqual([0, ''])
  const [line = '', id = ''] = stdout.split('\n')
  const link = new URL(line)
  return { id: id.replace('id: ', ''), target: link.pathname + link.search, sealed: link.searchParams.get('sg-share')! }
}
const value = (response: RawResponse, name: string): string | undefined => valuesOf(response.fields, name)[0]
const cookieOf = (response: RawResponse): string => `Cookie: ${value(response, 'set-cookie')!.split(';')[0]!}`
const codeOf = (response: RawResponse): string | undefined => /VISITOR_\w+|RATE_LIMITED/.exec(response.body.toString())?.[0]

beforeAll(async () => {
  const directory = tempDir()
  const secret = join(directory, 'company.secret')
  writeFileSync(secret, 'secret', { mode: 0o600 })
  const company = `providers: { company: { issuer: https://idp.example.test, clientId: a, clientSecretFile: ${secret} } }\n`
  made = await startLaneLayers(TARGETS, { file: writeVisitorsFiles(directory, company) })
})
beforeEach(() => {
  made.origin.clear()
  made.origin.handle((_, socket) => void socket.write(rawResponse(200, 'ok')))
})

describe('a link', () => {
  test('opened in a browser gives a cookie of this host and leads to the page without it', async () => {
    const { target, sealed, id } = await share('https://wiki.test/plan?a=1')
    const opened = await made.ask('wiki.test', target, BROWSER)
    expect([opened.status, value(opened, 'location')]).toEqual([303, 'http://wiki.test/plan?a=1'])
    expect(value(opened, 'set-cookie')).toMatch(/^sg-login-share=[^;]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/)
    expect(value(opened, 'referrer-policy')).toBe('no-referrer')
    expect(made.origin.hits).toBe(0)
    const cookie = cookieOf(opened)
    for (const path of ['/plan', '/plan?a=1', '/plan/picture.png']) expect((await made.ask('wiki.test', path, [cookie])).status).toBe(200)
    expect([made.origin.last.values('cookie'), made.origin.last.values('x-auth-name')]).toEqual([[], [`share ${id}`]])
    for (const path of ['/', '/planet', '/plan/../secret', '/plan/..;/secret', '/plan%2f..%2fsecret', '//plan/../secret'])
      expect([path, (await made.ask('wiki.test', path, [cookie])).status >= 400]).toEqual([path, true])
    expect((await made.ask('wiki.test', '/plan', [cookie], 'DELETE')).status).toBe(401)
    expect((await made.ask('other.test', '/plan', [cookie])).status).toBe(401)
    const https = await made.ask('wiki.test', target, [...BROWSER, 'X-Forwarded-Proto: https'])
    expect(value(https, 'set-cookie')).toMatch(/^__Host-sg-login-share=.*; Secure$/)
    expect(JSON.stringify([made.layers.accessLog, made.layers.outerLogs, made.logs])).not.toContain(sealed.slice(-40))
  })

  test('sent by a program lets each request in, and reaches the origin neither in the query nor in a field', async () => {
    const { target, sealed } = await share('https://wiki.test/plan?a=1')
    expect((await made.ask('wiki.test', `${target}&b=2`)).status).toBe(200)
    expect(made.origin.last.target).toBe('/plan?a=1&b=2')
    expect((await made.ask('wiki.test', '/plan?c=3', [`X-SG-Share: ${sealed}`])).status).toBe(200)
    expect([made.origin.last.target, made.origin.last.values('x-sg-share')]).toEqual(['/plan?c=3', []])
    expect((await made.ask('wiki.test', `/plan?sg-share=${sealed}`)).status).toBe(200)
    expect(made.origin.last.target).toBe('/plan')
  })

  test('of another host, path or method, changed, doubled or made up opens nothing', async () => {
    const { sealed } = await share('https://wiki.test/plan')
    const status = async (host: string, target: string, method = 'GET'): Promise<number> =>
      (await made.ask(host, target, [], method)).status
    expect(await status('other.test', `/plan?sg-share=${sealed}`)).toBe(401)
    expect(await status('wiki.test', `/other?sg-share=${sealed}`)).toBe(403)
    expect(await status('wiki.test', `/plan?sg-share=${sealed}`, 'POST')).toBe(403)
    expect(await status('wiki.test', `/plan?sg-share=${sealed}&sg-share=${sealed}`)).toBe(401)
    expect(await status('wiki.test', `/plan?sg-share=${sealed.slice(0, -4)}AAAA`)).toBe(401)
    expect(await status('wiki.test', '/plan?sg-share=')).toBe(401)
    const strange = new Seal(() => readKeys(createKeyText(Date.now())))
    const forged = sealShare(strange, 'wiki.test', {
      id: 'a'.repeat(16),
      path: '/',
      methods: ['*'],
      expiresMs: Date.now() + 1e9,
      maxUses: undefined,
      email: undefined,
    })
    expect(await status('wiki.test', `/plan?sg-share=${forged}`)).toBe(401)
    expect(made.origin.hits).toBe(0)
    // Where everybody may come, it does not go further either.
    expect(await status('wiki.test', `/open/a?x=1&sg-share=${sealed}`)).toBe(200)
    expect(made.origin.last.target).toBe('/open/a?x=1')
  })

  test('is over after its time: 403 with the code, and a page', async () => {
    const keys = readKeys(readFileSync(join(dirname(made.file), 'visitors.key'), 'utf8'))
    const old = sealShare(new Seal(() => keys), 'wiki.test', {
      id: 'b'.repeat(16),
      path: '/plan',
      methods: ['GET'],
      expiresMs: Date.now() - 1,
      maxUses: undefined,
      email: undefined,
    })
    const program = await made.ask('wiki.test', `/plan?sg-share=${old}`)
    expect([program.status, codeOf(program)]).toEqual([403, 'VISITOR_SHARE_OVER'])
    const person = await made.ask('wiki.test', `/plan?sg-share=${old}`, BROWSER)
    expect([person.status, codeOf(person), value(person, 'content-type')]).toEqual([403, 'VISITOR_SHARE_OVER', 'text/html; charset=utf-8'])
    expect(person.body.toString()).toContain('This link is over')
    expect((await made.ask('wiki.test', `/plan?sg-share=${old}`, [...BROWSER, 'Accept-Language: fr'])).body.toString()).toContain('Ce lien')
  })

  test('that was revoked is over within a second, with its cookie and with what is open', async () => {
    const { target, id } = await share('https://wiki.test/plan')
    const cookie = cookieOf(await made.ask('wiki.test', target, BROWSER))
    made.origin.handle((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome'))
    const client = await RawConnection.open(made.layers.port)
    client.write(`GET /plan HTTP/1.1\r\nHost: wiki.test\r\n${cookie}\r\n\r\n`)
    await until(() => made.origin.hits > 0, { what: 'the origin' })
    expect((await run(['share', 'revoke', id, '--visitors', made.file])).status).toBe(0)
    await client.closed
    expect([(await made.ask('wiki.test', '/plan', [cookie])).status, codeOf(await made.ask('wiki.test', target))]).toEqual([
      401,
      'VISITOR_SHARE_OVER',
    ])
    expect((await run(['share', 'revoke', 'nothing', '--visitors', made.file])).status).toBe(2)
    const listed = await run(['share', 'ls', '--visitors', made.file])
    expect(listed.stdout).toMatch(new RegExp(`${id} .*wiki.test/plan .*revoked`))
  })

  test('is made for pages alone', async () => {
    for (const url of [
      'wiki.test/plan',
      'ftp://wiki.test/',
      'https://u@wiki.test/',
      'https://wiki.test/a#b',
      `https://wiki.test/${'a'.repeat(600)}`,
      'https://wiki.test/a//b',
    ])
      expect([url, (await run(['share', url, '--visitors', made.file])).status]).toEqual([url, 2])
    expect((await run(['share', 'https://wiki.test/', '--visitors', made.file, '--email', 'x'])).status).toBe(2)
  })

  test('is made for http on this machine alone, unless that is meant', async () => {
    const at = async (...args: readonly string[]): Promise<number> => (await run(['share', ...args, '--visitors', made.file])).status
    for (const url of ['http://localhost:3000/', 'http://wiki.localhost/a', 'http://127.0.0.1/', 'http://[::1]:8080/'])
      expect([url, await at(url)]).toEqual([url, 0])
    const refused = await run(['share', 'http://wiki.test/plan', '--visitors', made.file])
    expect([refused.status, refused.stdout, refused.stderr]).toEqual([
      2,
      '',
      expect.stringContaining('use https:// (a proxy may end TLS), or pass --insecure'),
    ])
    expect(await at('http://wiki.test/plan', '--insecure')).toBe(0)
    expect(await at('http://localhost.evil.test/')).toBe(2)
  })
})

describe('--max-uses', () => {
  test.each([
    ['programs', [], 200],
    ['browsers', BROWSER, 303],
  ])('holds for fifty %s at once, and after a restart', async (_, lines, good) => {
    const link = await share('https://wiki.test/plan', ['--max-uses', '5'])
    const statuses = await Promise.all(Array.from({ length: 50 }, async () => (await made.ask('wiki.test', link.target, lines)).status))
    expect([statuses.filter(status => status === good).length, statuses.filter(status => status === 403).length]).toEqual([5, 45])
    const again = await startLaneLayers(TARGETS, { file: made.file })
    const late = await again.ask('wiki.test', link.target, lines)
    expect([late.status, codeOf(late)]).toEqual([403, 'VISITOR_SHARE_OVER'])
    const listed = JSON.parse((await run(['share', 'ls', '--json', '--visitors', made.file])).stdout) as { id: string; uses: number }[]
    expect(listed.find(({ id }) => id === link.id)!.uses).toBe(5)
    expect((await run(['share', 'ls', '--visitors', made.file])).stdout).toContain('5 of 5')
  })

  test('holds for two gateways that share the folder', async () => {
    const link = await share('https://wiki.test/plan', ['--max-uses', '7'])
    const other = await startLaneLayers(TARGETS, { file: made.file })
    const statuses = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => (await (i % 2 === 0 ? made : other).ask('wiki.test', link.target)).status),
    )
    expect(statuses.filter(status => status === 200)).toHaveLength(7)
  })

  test('counts no browser twice that has come in', async () => {
    const { target } = await share('https://wiki.test/plan', ['--max-uses', '1'])
    const cookie = cookieOf(await made.ask('wiki.test', target, BROWSER))
    expect((await made.ask('wiki.test', target, [...BROWSER, cookie])).status).toBe(303)
    expect((await made.ask('wiki.test', '/plan', [cookie])).status).toBe(200)
    expect((await made.ask('wiki.test', target, BROWSER)).status).toBe(403)
  })

  test('lets nobody in where uses cannot be written down', async () => {
    const own = await startLaneLayers(TARGETS)
    const { target } = await share('https://wiki.test/plan', ['--max-uses', '5'], own.file)
    writeFileSync(join(dirname(own.file), 'visitors.uses'), 'no folder')
    expect((await own.ask('wiki.test', target)).status).toBe(500)
    expect(own.origin.hits).toBe(0)
  })

  test('leaves nothing behind that is over, and files for the owner alone', async () => {
    const directory = join(tempDir(), 'uses')
    const uses = new ShareUses(directory, () => 0)
    const one = { id: 'c'.repeat(16), expiresMs: 1_000, maxUses: 1 }
    expect([await uses.take(one), await uses.take(one), await uses.take({ ...one, expiresMs: 5_000, id: 'd'.repeat(16) })]).toEqual([
      true,
      false,
      true,
    ])
    expect([statSync(directory).mode & 0o777, statSync(join(directory, readdirSync(directory)[0]!)).mode & 0o777]).toEqual([0o700, 0o600])
    await uses.tidy(2_000)
    expect(readdirSync(directory)).toEqual([`${'d'.repeat(16)}-5000`])
    chmodSync(directory, 0o700)
  })
})

describe('--email', () => {
  /** A session, sealed as a login would: what providers do is not the matter here. */
  const sessionOf = (email: string): string => {
    const keys = readKeys(readFileSync(join(dirname(made.file), 'visitors.key'), 'utf8'))
    const session: Session = {
      person: { provider: 'company', subject: email, email, name: undefined, groups: [], claims: new Map() },
      loginId: 'l',
      id: `s-${email}`,
      loggedInMs: Date.now(),
      seenMs: Date.now(),
    }
    return `Cookie: __Host-sg-login-visitor=${new Seal(() => keys).seal('session', 'login.test', sessionText(session))}`
  }

  /** Over https, without which there are no sessions. */
  const askSafely = (target: string, lines: readonly string[] = []): Promise<RawResponse> =>
    made.ask('login.test', target, ['X-Forwarded-Proto: https', ...lines])

  test('is for that person, who logs in, and for nobody else', async () => {
    const { target } = await share('https://login.test/plan', ['--email', 'Ada@Example.test'])
    const unknown = await askSafely(target, BROWSER)
    expect([unknown.status, value(unknown, 'location')]).toEqual([
      302,
      expect.stringMatching(/^https:\/\/auth\.example\.test\/login\?wish=/),
    ])
    expect((await askSafely(target)).status).toBe(401)
    const ada = sessionOf('ada@EXAMPLE.test')
    expect((await askSafely('/plan', [ada])).status).toBe(403)
    const opened = await askSafely(target, [...BROWSER, ada])
    expect(opened.status).toBe(303)
    const both = `${ada}; ${cookieOf(opened).slice('Cookie: '.length)}`
    expect((await askSafely('/plan', [both])).status).toBe(200)
    expect(made.origin.last.values('x-auth-email')).toEqual(['ada@example.test'])
    expect((await askSafely('/other', [both])).status).toBe(403)
    for (const other of ['eve@example.test', 'ada@example.test.evil.test', 'ad\u0430@example.test'])
      expect([other, (await askSafely(target, [sessionOf(other)])).status]).toEqual([other, 403])
    // The cookie of the link alone is nobody's.
    expect((await askSafely('/plan', [cookieOf(opened)])).status).toBe(401)
  })
})
