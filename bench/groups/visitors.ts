/**
 * The cost of a login: the same 1 KiB GET with the same session, to a target that asks who comes, to one that does not, and to a gateway
 * without any login; and the first request of each session, which is opened and signed for.
 */
import { Agent, request } from 'node:http'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readKeys } from '../../src/visitors/session/key-ring.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { sessionText, type Session } from '../../src/visitors/session/session.ts'
import { AT_TARGETS } from '../../src/visitors/session/sessions.ts'
import { cookieName } from '../../src/visitors/session/session-cookie.ts'
import { load, withCpu, type Bench, type Figures, type Measurement } from '../bench.ts'
import { startGateway } from '../contenders.ts'
import type { Target } from '../load.ts'
import type { Column, Group } from '../report.ts'
import { median, medianRatio } from '../stats.ts'

/** Just-in-time compilation goes on for seconds. */
const WARM_UP_SECONDS = 6
const SECONDS = 3
const CONNECTIONS = 64
const MAX_RATIO = 1.05
/** CPU that the first request of a session may cost beside one of the same session, µs. */
const MAX_FIRST_US = 1_000
const FIRST_REQUESTS = 1_500
const FIRST_CONNECTIONS = 8

// Over http, logins are for this machine alone.
const OPEN = 'open.localhost'
const LOGIN = 'login.localhost'
const EMAIL = 'ada@example.io'

const PLAIN = 'no logins at all'
const AGAIN = 'logged in, one by one: the same session'
const FIRST = 'logged in, one by one: a new session each'

const COLUMNS: readonly Column[] = [
  { key: 'rate', title: 'req/s', digits: 0 },
  { key: 'cpuUs', title: 'CPU µs/req', digits: 1 },
  { key: 'cpuRatio', title: '× no logins at all', digits: 2 },
]

/** The file of visitors with its keys, as the command makes them, and the cookie of somebody who has logged in. */
const prepare = async ({ fleet }: Bench): Promise<{ readonly file: string; readonly cookieOf: (id: string) => string }> => {
  const file = join(fleet.directory, 'visitors.yaml')
  const provider = ['--issuer', 'http://127.0.0.1:9', '--client-id', 'bench']
  await fleet.run([
    ...[process.execPath, fleet.program(), 'visitors', 'init', '--auth', 'http://auth.localhost:3000'],
    ...[...provider, '--visitors', file],
  ])
  writeFileSync(join(fleet.directory, 'company.secret'), 'no secret\n', { mode: 0o600 })
  const keys = readKeys(readFileSync(join(fleet.directory, 'visitors.key'), 'utf8'))
  const now = Date.now()
  const person = { provider: 'company', subject: 'ada', email: EMAIL, name: 'Ada Lovelace', groups: ['ops'], claims: new Map() }
  const seal = new Seal(() => keys)
  const cookieOf = (id: string): string => {
    const session: Session = { person, loginId: 'bench-login', id, loggedInMs: now, seenMs: now }
    return `${cookieName(AT_TARGETS.kind, 'http')}=${seal.seal(AT_TARGETS.purpose, LOGIN, sessionText(session))}`
  }
  return { file, cookieOf }
}

/** Requests with these cookies in turn, over a few connections. */
const visit = async (port: number, cookies: readonly string[]): Promise<void> => {
  const agent = new Agent({ keepAlive: true, maxSockets: FIRST_CONNECTIONS })
  let next = 0
  const one = (cookie: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request({ agent, host: '127.0.0.1', port, path: '/1k', headers: { host: LOGIN, cookie } }, answer => {
        if (answer.statusCode !== 200) reject(new Error(`status ${answer.statusCode ?? 0}`))
        answer.resume().on('end', resolve).on('error', reject)
      })
      sent.on('error', reject).end()
    })
  const work = async (): Promise<void> => {
    while (next < cookies.length) await one(cookies[next++]!)
  }
  await Promise.all(Array.from({ length: FIRST_CONNECTIONS }, work))
  agent.destroy()
}

const measure = async (bench: Bench): Promise<Group> => {
  const { fleet, origins, isQuick } = bench
  const { file, cookieOf } = await prepare(bench)
  const cookie = cookieOf('bench-session')
  const origin = { protocol: 'http', hostname: '127.0.0.1', port: origins.staticPort }
  const gateway = await startGateway(fleet, origins, {
    targets: { [OPEN]: origin, [LOGIN]: { ...origin, access: { login: { emails: [EMAIL] } } } },
    outer: ['--visitors', file],
  })
  const plain = await startGateway(fleet, origins, { targets: { [OPEN]: origin } })
  const contenders = [
    { label: PLAIN, host: OPEN, by: plain },
    { label: 'without login', host: OPEN, by: gateway },
    { label: 'logged in', host: LOGIN, by: gateway },
  ].map(({ label, host, by }) => ({
    label,
    pids: [by.outer.pid, by.inner.pid],
    target: { port: by.port, host, path: '/1k', fields: [`Cookie: ${cookie}`] } satisfies Target,
  }))
  const run = (target: Target, seconds: number): ReturnType<typeof load> => load(bench, target, { connections: CONNECTIONS, seconds })
  for (const { target } of contenders) await run(target, isQuick ? 1 : WARM_UP_SECONDS)
  const rounds: Record<string, Figures>[] = []
  for (let round = 1; round <= bench.runs; round++) {
    const figures: Record<string, Figures> = {}
    for (const { label, target, pids } of contenders) {
      const { result, cpuSeconds } = await withCpu(pids, () => run(target, isQuick ? 1 : SECONDS))
      figures[label] = { rate: result.requests / result.seconds, cpuUs: (cpuSeconds / result.requests) * 1e6 }
    }
    const count = isQuick ? 100 : FIRST_REQUESTS
    const firsts = Array.from({ length: count }, (_, i) => cookieOf(`${round} ${i}`))
    for (const [label, cookies] of [[AGAIN, firsts.map(() => cookie)] as const, [FIRST, firsts] as const]) {
      const { cpuSeconds } = await withCpu([gateway.outer.pid, gateway.inner.pid], () => visit(gateway.port, cookies))
      figures[label] = { cpuUs: (cpuSeconds / count) * 1e6 }
    }
    rounds.push(figures)
    bench.say(`  round ${round} of ${bench.runs}`)
  }
  gateway.stop()
  plain.stop()
  const of = (label: string, key: string): number[] => rounds.map(figures => figures[label]?.[key] ?? NaN)
  const ratio = (label: string, to: string): number => medianRatio(of(label, 'cpuUs'), of(to, 'cpuUs'))
  const firstUs = median(of(FIRST, 'cpuUs').map((first, i) => first - of(AGAIN, 'cpuUs')[i]!))
  return {
    name: 'visitors',
    title: `1 KiB GET with a session, ${CONNECTIONS} connections`,
    columns: COLUMNS,
    rows: [
      ...contenders.map(({ label }) => ({
        label,
        values: { rate: median(of(label, 'rate')), cpuUs: median(of(label, 'cpuUs')), cpuRatio: ratio(label, PLAIN) },
      })),
      ...[AGAIN, FIRST].map(label => ({ label, values: { cpuUs: median(of(label, 'cpuUs')) } })),
    ],
    requirements: [
      {
        what: 'CPU per request of somebody who is logged in, outer and inner layer together, to that of the same request without login',
        unit: '×',
        limit: { atMost: MAX_RATIO },
        measured: ratio('logged in', 'without login'),
      },
      {
        what: 'CPU per request to a target without access, beside one with it, to that of a gateway without logins',
        unit: '×',
        limit: { atMost: MAX_RATIO },
        measured: ratio('without login', PLAIN),
      },
      {
        what: 'CPU of the first request of a session, beside another one of it, outer and inner layer together',
        unit: 'µs',
        limit: { atMost: MAX_FIRST_US },
        measured: firstUs,
      },
    ],
  }
}

export const visitors: Measurement = { name: 'visitors', measure }
