/** What a login costs: the same 1 KiB GET with the same session, to a target that asks who comes and to one that does not. */
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

// Over http, logins are for this machine alone.
const OPEN = 'open.localhost'
const LOGIN = 'login.localhost'
const EMAIL = 'ada@example.io'

const COLUMNS: readonly Column[] = [
  { key: 'rate', title: 'req/s', digits: 0 },
  { key: 'cpuUs', title: 'CPU µs/req', digits: 1 },
  { key: 'cpuRatio', title: '× without login', digits: 2 },
]

/** The file of visitors with its keys, as the command makes them, and the cookie of somebody who has logged in. */
const prepare = async ({ fleet }: Bench): Promise<{ readonly file: string; readonly cookie: string }> => {
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
  const session: Session = { person, loginId: 'bench-login', id: 'bench-session', loggedInMs: now, seenMs: now }
  const value = new Seal(() => keys).seal(AT_TARGETS.purpose, LOGIN, sessionText(session))
  return { file, cookie: `${cookieName(AT_TARGETS.kind, 'http')}=${value}` }
}

const measure = async (bench: Bench): Promise<Group> => {
  const { fleet, origins, isQuick } = bench
  const { file, cookie } = await prepare(bench)
  const origin = { protocol: 'http', hostname: '127.0.0.1', port: origins.staticPort }
  const gateway = await startGateway(fleet, origins, {
    targets: { [OPEN]: origin, [LOGIN]: { ...origin, access: { login: { emails: [EMAIL] } } } },
    outer: ['--visitors', file],
  })
  const pids = [gateway.outer.pid, gateway.inner.pid]
  const contenders = [
    { label: 'without login', host: OPEN },
    { label: 'logged in', host: LOGIN },
  ].map(({ label, host }) => ({ label, target: { port: gateway.port, host, path: '/1k', fields: [`Cookie: ${cookie}`] } satisfies Target }))
  const run = (target: Target, seconds: number): ReturnType<typeof load> => load(bench, target, { connections: CONNECTIONS, seconds })
  for (const { target } of contenders) await run(target, isQuick ? 1 : WARM_UP_SECONDS)
  const rounds: Record<string, Figures>[] = []
  for (let round = 1; round <= bench.runs; round++) {
    const figures: Record<string, Figures> = {}
    for (const { label, target } of contenders) {
      const { result, cpuSeconds } = await withCpu(pids, () => run(target, isQuick ? 1 : SECONDS))
      figures[label] = { rate: result.requests / result.seconds, cpuUs: (cpuSeconds / result.requests) * 1e6 }
    }
    rounds.push(figures)
    bench.say(`  round ${round} of ${bench.runs}`)
  }
  gateway.stop()
  const of = (label: string, key: string): number[] => rounds.map(figures => figures[label]?.[key] ?? NaN)
  const ratio = (label: string): number => medianRatio(of(label, 'cpuUs'), of('without login', 'cpuUs'))
  return {
    name: 'visitors',
    title: `1 KiB GET with a session, ${CONNECTIONS} connections`,
    columns: COLUMNS,
    rows: contenders.map(({ label }) => ({
      label,
      values: { rate: median(of(label, 'rate')), cpuUs: median(of(label, 'cpuUs')), cpuRatio: ratio(label) },
    })),
    requirements: [
      {
        what: 'CPU per request of somebody who is logged in, outer and inner layer together, to that of the same request without login',
        unit: '×',
        limit: { atMost: MAX_RATIO },
        measured: ratio('logged in'),
      },
    ],
  }
}

export const visitors: Measurement = { name: 'visitors', measure }
