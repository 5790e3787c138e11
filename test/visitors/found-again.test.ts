/** Sessions that are found again by the Cookie field of their connection: whatever ends or changes one does so there as well. */
import { describe, expect, test } from '@jest/globals'
import { Agent, request, type IncomingMessage } from 'node:http'
import type { AcceptedRequest } from '../../src/http/admission.ts'
import type { Client, Peer } from '../../src/http/client.ts'
import { createKeyRing, createKeyText, readKeys } from '../../src/visitors/session/key-ring.ts'
import { Revocations } from '../../src/visitors/session/revocations.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { sessionText, type Session } from '../../src/visitors/session/session.ts'
import { AT_TARGETS, Sessions } from '../../src/visitors/session/sessions.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { once } from '../support/wait.ts'
import { startVisitorLayers } from '../support/visitors.ts'

const HOST = 'wiki.example.test'
const NAME = '__Host-sg-login-visitor'
const HOUR = 3_600_000

const sessionOf = (subject: string, nowMs: number): Session => ({
  person: { provider: 'company', subject, email: `${subject}@example.io`, name: subject, groups: [], claims: new Map() },
  loginId: `login of ${subject}`,
  id: `session of ${subject}`,
  loggedInMs: nowMs,
  seenMs: nowMs,
})

const setUp = () => {
  const state = { nowMs: Date.now(), keys: readKeys(createKeyText(Date.now())), idleMs: 0 }
  const revocations = new Revocations(() => state.nowMs)
  const seal = new Seal(() => state.keys)
  const config = () => ({ sessionMs: 8 * HOUR, idleMs: state.idleMs })
  const sessions = new Sessions({ seal, revocations, config, clock: () => state.nowMs })
  const cookieOf = (subject: string, host = HOST): string =>
    `${NAME}=${seal.seal(AT_TARGETS.purpose, host, sessionText(sessionOf(subject, state.nowMs)))}`
  const connection = {}
  const who = (
    cookies: readonly string[],
    { host = HOST, scheme = 'https', on = connection, maxMs = undefined as number | undefined } = {},
  ) => {
    const fields = cookies.flatMap(cookie => ['Cookie', cookie])
    const asked = { fields, names: cookies.map(() => 'cookie') } as unknown as AcceptedRequest
    return sessions.findAgain({ request: asked, host, client: { scheme } as Client, peer: on as Peer }, maxMs)?.session.person.subject
  }
  return { state, revocations, cookieOf, who }
}

describe('a session that is found again', () => {
  test('is that of the field, whoever was there before', () => {
    const { cookieOf, who } = setUp()
    const [ada, bob] = [cookieOf('ada'), cookieOf('bob')]
    for (const [cookie, subject] of [
      [ada, 'ada'],
      [ada, 'ada'],
      [bob, 'bob'],
      [ada, 'ada'],
      [bob, 'bob'],
      [bob, 'bob'],
    ] as const)
      expect(who([cookie])).toBe(subject)
    expect([who([]), who(['a=b']), who([ada.slice(0, -1)]), who([`${ada}x`])]).toEqual([undefined, undefined, undefined, undefined])
    expect(who([`a=b; ${bob}`])).toBe('bob')
    // Of two fields the first counts, as everywhere.
    expect([who([ada, bob]), who([bob, ada]), who([ada])]).toEqual(['ada', 'bob', 'ada'])
  })

  test('is none at another host, or over another scheme', () => {
    const { cookieOf, who } = setUp()
    const ada = [cookieOf('ada')]
    expect(who(ada)).toBe('ada')
    expect([who(ada, { host: 'board.example.test' }), who(ada, { scheme: 'http' }), who(ada)]).toEqual([undefined, undefined, 'ada'])
  })

  test('is over as soon as it is revoked, and another one is not', () => {
    const { state, revocations, cookieOf, who } = setUp()
    const [ada, bob] = [[cookieOf('ada')], [cookieOf('bob')]]
    const onBob = {}
    expect([who(ada), who(bob, { on: onBob })]).toEqual(['ada', 'bob'])
    revocations.add([{ kind: 'email', email: 'ada@example.io', atMs: state.nowMs }])
    expect([who(ada), who(bob, { on: onBob })]).toEqual([undefined, 'bob'])
    revocations.add([{ kind: 'all', atMs: state.nowMs }])
    expect(who(bob, { on: onBob })).toBeUndefined()
  })

  test('is over after its time, after that of its target, and when nobody was there for long enough', () => {
    const { state, cookieOf, who } = setUp()
    const ada = [cookieOf('ada')]
    expect(who(ada)).toBe('ada')
    state.nowMs += HOUR
    expect([who(ada, { maxMs: HOUR - 1 }), who(ada)]).toEqual([undefined, 'ada'])
    state.idleMs = HOUR - 1
    expect(who(ada)).toBeUndefined()
    state.idleMs = 0
    expect(who(ada)).toBe('ada')
    state.nowMs += 7 * HOUR + 1
    expect(who(ada)).toBeUndefined()
  })

  test('is none once its key is gone, whoever was seen with the new keys first', () => {
    const { state, cookieOf, who } = setUp()
    const ada = [cookieOf('ada')]
    const before = state.keys
    const other = readKeys(createKeyText(Date.now()))
    expect(who(ada)).toBe('ada')
    state.keys = other
    expect(who(ada)).toBeUndefined()
    state.keys = before
    expect(who(ada)).toBe('ada')
    state.keys = other
    expect(who([cookieOf('bob')], { on: {} })).toBe('bob')
    expect(who(ada)).toBeUndefined()
    state.keys = createKeyRing([...other.all, ...before.all])
    expect(who(ada)).toBe('ada')
  })
})

test('requests of two people on one connection of a client are told apart, and nobody is there after a revocation', async () => {
  const at = await startVisitorLayers(
    'targets:\n  wiki.localhost: { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { provider: company, domains: [example.io] } } }\n',
    { layers: { outer: { trustProxy: [] } } },
  )
  const seal = new Seal(() => at.keys)
  const cookieOf = (subject: string): string =>
    `a=b; sg-login-visitor=${seal.seal(AT_TARGETS.purpose, 'wiki.localhost', sessionText(sessionOf(subject, Date.now())))}`
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onCleanUp(() => agent.destroy())
  const ports = new Set<number | undefined>()
  const get = async (cookie: string): Promise<number | undefined> => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(
        { agent, host: '127.0.0.1', port: at.layers.port, headers: { host: 'wiki.localhost', accept: '*/*', cookie } },
        resolve,
      )
      sent.once('socket', socket => socket.once('connect', () => ports.add(socket.localPort))).on('error', reject)
      sent.end()
    })
    await once(answer.resume(), 'end')
    return answer.statusCode
  }
  const [ada, bob] = [cookieOf('ada'), cookieOf('bob')]
  for (const cookie of [ada, ada, bob, bob, ada, bob]) expect(await get(cookie)).toBe(200)
  const emails = at.saw.map(({ headers }) => [headers['x-auth-email'], headers.cookie])
  expect(emails).toEqual(['ada', 'ada', 'bob', 'bob', 'ada', 'bob'].map(name => [`${name}@example.io`, 'a=b']))
  expect(ports.size).toBe(1)
  at.visitors.revocations.add([{ kind: 'email', email: 'bob@example.io', atMs: Date.now() + 1_000 }])
  expect([await get(bob), await get(ada), await get(bob)]).toEqual([401, 200, 401])
})
