/** Rules of targets for people who are logged in: lanes side by side, claims and groups, hours; what is counted of them, and how often somebody may try. */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { readKeys } from '../../src/visitors/session/key-ring.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { sessionText } from '../../src/visitors/session/session.ts'
import { AT_TARGETS } from '../../src/visitors/session/sessions.ts'
import { run } from '../cli/context.ts'
import { ask as askAdmin, parseMetrics } from '../support/admin.ts'
import { startLaneLayers, writeVisitorsFiles, type LaneLayers } from '../support/lanes.ts'
import type { RawResponse } from '../support/raw-client.ts'
import { tempDir } from '../support/temp.ts'
import { ADA, AUTH, startVisitorLayers, WIKI } from '../support/visitors.ts'
import { until } from '../support/wait.ts'

const ORIGIN = 'protocol: http, hostname: 127.0.0.1, port: {port}'
const TARGETS = `
targets:
  mixed.test: {${ORIGIN}, access: {login: {emails: [ada@example.io]}, tokens: true}}
  maths.test: {${ORIGIN}, access: {login: {claims: {department: [maths, physics], country: uk}}}}
  both.test: {${ORIGIN}, access: {login: {groups: [ops], claims: {department: maths}}}}
  short.test: {${ORIGIN}, access: {login: {anyone: true}, sessionHours: 0.5}}
  long.test: {${ORIGIN}, access: {login: {anyone: true}, sessionHours: 12}}
  usual.test: {${ORIGIN}, access: {login: {anyone: true}}}
`

let made: LaneLayers
let token: string
let seal: Seal

interface Who {
  readonly email?: string
  readonly groups?: readonly string[]
  readonly claims?: Readonly<Record<string, readonly string[]>>
  readonly minutesAgo?: number
}

/** Lines of a request of somebody who has logged in at a host. */
function loggedIn(host: string, { email = 'ada@example.io', groups = [], claims = {}, minutesAgo = 0 }: Who = {}): readonly string[] {
  const person = { provider: 'company', subject: email, email, name: undefined, groups, claims: new Map(Object.entries(claims)) }
  const atMs = Date.now() - minutesAgo * 60_000
  const text = sessionText({ person, loginId: 'l', id: `${email} ${minutesAgo}`, loggedInMs: atMs, seenMs: atMs })
  return ['X-Forwarded-Proto: https', `Cookie: a=b; __Host-sg-login-visitor=${seal.seal(AT_TARGETS.purpose, host, text)}`]
}
const bearer = (text: string): string => `Authorization: Bearer ${text}`
const codeIn = (response: RawResponse): string | undefined => /VISITOR_\w+/.exec(response.body.toString())?.[0]

beforeAll(async () => {
  const folder = tempDir()
  const provider = 'providers: {company: {issuer: https://idp.example.test, clientId: x, clientSecretFile: company.secret}}\n'
  writeFileSync(join(folder, 'company.secret'), 'secret', { mode: 0o600 })
  const file = writeVisitorsFiles(folder, provider)
  made = await startLaneLayers(TARGETS, { file, outer: { admin: { host: '127.0.0.1', port: 0 } } })
  const keys = readKeys(readFileSync(join(dirname(file), 'visitors.key'), 'utf8'))
  seal = new Seal(() => keys)
  const { stdout } = await run(['service-token', 'create', '--visitors', file, '--name', 'ci', '--target', 'mixed.test'])
  token = /^token: (sgv_[\w-]{43})$/m.exec(stdout)![1]!
  // Until it is known: the file is followed. Each from another address, since wrong ones are counted.
  let asked = 0
  const isKnown = async (): Promise<boolean> =>
    (await made.ask('mixed.test', '/', [bearer(token), `X-Forwarded-For: 198.51.100.${asked++ % 256}`])).status === 200
  await until(isKnown, { what: 'the token' })
})
beforeEach(() => made.origin.clear())

describe('of several lanes', () => {
  const who = (): string | undefined => made.origin.last.values('x-auth-email')[0] ?? made.origin.last.values('x-auth-name')[0]

  test('any one lets in, on the same route', async () => {
    expect((await made.ask('mixed.test', '/', loggedIn('mixed.test'))).status).toBe(200)
    expect(who()).toBe('ada@example.io')
    expect((await made.ask('mixed.test', '/', [bearer(token)])).status).toBe(200)
    expect(who()).toBe('ci')
  })

  test('the first that recognises its credential decides, also when it is no good', async () => {
    const session = loggedIn('mixed.test')
    expect((await made.ask('mixed.test', '/', [...session, bearer(token)])).status).toBe(200)
    expect([who(), made.origin.last.values('cookie')]).toEqual(['ci', ['a=b']])
    const forged = `sgv_${'A'.repeat(43)}`
    const refused = await made.ask('mixed.test', '/', [...session, bearer(forged)])
    expect([refused.status, codeIn(refused)]).toEqual([401, 'VISITOR_CREDENTIALS'])
    const stranger = await made.ask('mixed.test', '/', [...loggedIn('mixed.test', { email: 'eve@example.io' }), bearer(token)])
    expect([stranger.status, who()]).toEqual([200, 'ci'])
  })

  test('none takes what is the business of the application', async () => {
    const response = await made.ask('mixed.test', '/', [...loggedIn('mixed.test'), bearer('of-the-application')])
    expect([response.status, who()]).toEqual([200, 'ada@example.io'])
    expect(made.origin.last.values('authorization')).toEqual(['Bearer of-the-application'])
  })

  test('each is counted with what it has decided', async () => {
    const counted = async (): Promise<ReadonlyMap<string, number>> =>
      parseMetrics((await askAdmin(made.layers.outer.adminPort, '/metrics')).text)
    const key = (lane: string, outcome: string): string => `socket_gateway_visitors_total{lane="${lane}",outcome="${outcome}"}`
    const cases = [
      key('login', 'admitted'),
      key('login', 'refused'),
      key('token', 'admitted'),
      key('none', 'refused'),
      key('login', 'sent-to-login'),
    ]
    const before = await counted()
    await made.ask('mixed.test', '/', loggedIn('mixed.test'))
    await made.ask('mixed.test', '/', loggedIn('mixed.test', { email: 'eve@example.io' }))
    await made.ask('mixed.test', '/', [bearer(token)])
    await made.ask('mixed.test', '/', [])
    await made.ask('mixed.test', '/', [
      'X-Forwarded-Proto: https',
      'Accept: text/html',
      'Sec-Fetch-Mode: navigate',
      'Sec-Fetch-Dest: document',
    ])
    const after = await counted()
    expect(cases.map(name => [name, (after.get(name) ?? 0) - (before.get(name) ?? 0)])).toEqual(cases.map(name => [name, 1]))
  })
})

describe('a login has to have', () => {
  test.each<[string, string, Who, number]>([
    [
      'every claim that is demanded, with one of its values',
      'maths.test',
      { claims: { department: ['art', 'physics'], country: ['uk'] } },
      200,
    ],
    ['no other value', 'maths.test', { claims: { department: ['art'], country: ['uk'] } }, 403],
    ['not the value in another case', 'maths.test', { claims: { department: ['Maths'], country: ['uk'] } }, 403],
    ['not one claim of two', 'maths.test', { claims: { department: ['maths'] } }, 403],
    ['not none', 'maths.test', {}, 403],
    ['a group and a claim', 'both.test', { groups: ['ops'], claims: { department: ['maths'] } }, 200],
    ['not the claim alone', 'both.test', { claims: { department: ['maths'] } }, 403],
    ['not the group alone', 'both.test', { groups: ['ops'] }, 403],
    ['not a group of a name like it', 'both.test', { groups: ['ops2', 'OPS'], claims: { department: ['maths'] } }, 403],
  ])('%s (%s)', async (_, host, person, status) => {
    const response = await made.ask(host, '/', loggedIn(host, person))
    expect([response.status, made.origin.hits]).toEqual([status, status === 200 ? 1 : 0])
    if (status === 403) expect(codeIn(response)).toBe('VISITOR_FORBIDDEN')
  })

  test.each([
    ['short.test', 29, 200],
    ['short.test', 31, 401],
    ['usual.test', 479, 200],
    ['usual.test', 481, 401],
    ['long.test', 719, 200],
    ['long.test', 721, 401],
  ])('begun within the hours of its target: %s, %d minutes ago', async (host, minutesAgo, status) => {
    expect((await made.ask(host, '/', loggedIn(host, { minutesAgo }))).status).toBe(status)
  })
})

test('an address that begins many logins waits, and nobody else does', async () => {
  const at = await startVisitorLayers(undefined, { visitors: { attempts: { perSecond: 0.001, burst: 3 } } })
  at.oidc.person = ADA
  const from = async (address: string): Promise<number> =>
    (await at.browser().go(`${WIKI}/`, { headers: { 'x-forwarded-for': address } })).status
  const statuses: number[] = []
  for (let i = 0; i < 5; i++) statuses.push(await from('198.51.100.7'))
  expect(statuses).toEqual([200, 200, 200, 429, 429])
  expect([await from('198.51.100.8'), await from('2001:db8::1')]).toEqual([200, 200])
  const limited = await at.browser().go(`${WIKI}/`, { headers: { 'x-forwarded-for': '198.51.100.7' } })
  expect([limited.url.startsWith(`https://${AUTH}/`), limited.body.includes('Too many attempts')]).toEqual([true, true])
})
