/**
 * `npm run load -- NAME… [--minutes N]`: what many connections, long times and restarts do to the gateway; the scorecard of docs/reliability.md. Ends with
 * 1 when a figure misses its target.
 */
import { parseArgs } from 'node:util'
import { cleanUp } from '../support/cleanup.ts'
import { bePatient } from '../support/wait.ts'
import { active } from './active.ts'
import { isMet, rowOf, type Figure } from './figure.ts'
import { idle } from './idle.ts'
import { reloads } from './reloads.ts'
import { rolling } from './rolling.ts'
import { soak } from './soak.ts'
import { storm } from './storm.ts'
import { workers } from './workers.ts'

/** Measures for about `minutes`; `say` tells what is going on. */
export type Scenario = (minutes: number, say: (text: string) => void) => Promise<readonly Figure[]>

interface Entry {
  readonly what: string
  /** When none is told; 0: it takes as long as it takes. */
  readonly minutes: number
  readonly run: Scenario
}

const SCENARIOS: ReadonlyMap<string, Entry> = new Map<string, Entry>([
  ['idle', { what: '4,000 event streams and 2,000 WebSockets that are silent', minutes: 10, run: idle }],
  ['active', { what: '1,000 streams at a time on one session, each byte compared', minutes: 1, run: active }],
  ['soak', { what: 'a third of what the machine can do', minutes: 60, run: soak }],
  ['rolling', { what: '20 restarts of one of two outer and one of two inner layers at 300 requests a second', minutes: 0, run: rolling }],
  [
    'workers',
    { what: '20 restarts of two workers, every other one by SIGHUP, at 100 requests a second and 50 WebSockets', minutes: 0, run: workers },
  ],
  ['storm', { what: '1,000 inner layers that come back at once', minutes: 0, run: storm }],
  ['reloads', { what: '1,000 changes of the targets file at 300 requests a second', minutes: 0, run: reloads }],
])

const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  allowPositionals: true,
})
const say = (text: string): void => void process.stdout.write(`${text}\n`)
if (values.help || positionals.length === 0) {
  say('usage: npm run load -- NAME… [--minutes N]')
  for (const [name, { what, minutes }] of SCENARIOS) say(`  ${name}  ${what}${minutes > 0 ? `; ${minutes} min` : ''}`)
  process.exit(values.help ? 0 : 2)
}
const unknown = positionals.find(name => !SCENARIOS.has(name))
if (unknown !== undefined) {
  say(`${unknown}: there is no such scenario; see --help`)
  process.exit(2)
}

// Times are figures, and what never comes is told after ten minutes: also on a machine that does something else.
bePatient(600_000)
let isGood = true
say(`load: Node.js ${process.versions.node}, ${new Date().toISOString().slice(0, 16)}`)
for (const name of positionals) {
  const { what, minutes, run } = SCENARIOS.get(name)!
  say(`${name}: ${what}`)
  try {
    const figures = await run(values.minutes === undefined ? minutes : Number(values.minutes), text => say(`  ${text}`))
    for (const figure of figures) say(rowOf(figure))
    isGood &&= figures.every(isMet)
  } catch (error) {
    say(`FAILED ${name}: ${(error as Error).stack}`)
    isGood = false
  }
  await cleanUp()
}
process.exit(isGood ? 0 : 1)
