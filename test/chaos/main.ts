/**
 * `npm run chaos [-- --minutes N] [--seed S] [--each] [--only ID]`: each fault once and N minutes of mixed chaos beside it (docs/reliability.md).
 * Ends with 1 when the oracle has found something.
 */
import { parseArgs } from 'node:util'
import { cleanUp } from '../support/cleanup.ts'
import { bePatient } from '../support/wait.ts'
import { FAULTS } from './faults.ts'
import { runFaults, runMixed, type Report } from './runs.ts'
import { KINDS_HERE } from './world.ts'

const USAGE = `usage: npm run chaos -- [--minutes N] [--seed S] [--only ID]… [--no-each]
  --minutes N  of mixed chaos, beside the faults; 2 by default, 0 for none
  --seed S     repeats the requests and faults of a run
  --only ID    this fault alone, such as F24; repeatable
  --no-each    mixed chaos alone
SIGTERM ends the mixed chaos before its time; what was found by then is told.
faults:`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    only: { type: 'string', multiple: true },
    each: { type: 'boolean', default: true },
    help: { type: 'boolean', short: 'h', default: false },
  },
  allowNegative: true,
})
const seed = Number(values.seed)
const minutes = Number(values.minutes)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

if (values.help) {
  say(USAGE)
  for (const { id, what } of FAULTS) say(`  ${id}  ${what}`)
  process.exit()
}
const unknown = values.only?.find(id => FAULTS.every(fault => fault.id !== id))
if (unknown !== undefined) {
  say(`--only ${unknown}: there is no such fault; see --help`)
  process.exit(2)
}

// A machine that is busy with other things takes minutes for what should take seconds; that says nothing of the gateway.
bePatient(300_000)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
const startedMs = performance.now()
say(`chaos: seed ${seed}, Node.js ${process.versions.node}, ${KINDS_HERE.join(', ')}`)
const wanted = FAULTS.filter(({ id }) => values.only?.includes(id) ?? values.each)
const part = (name: string, isLong: boolean): Promise<Report>[] => {
  const faults = wanted.filter(fault => (fault.isLong ?? false) === isLong)
  return faults.length === 0 ? [] : [runFaults(name, faults, seed, say)]
}
/** The short faults keep this process busy; those that wait for a silence do not, and so the chaos runs beside them. */
const runAll = async (): Promise<Report[]> => {
  const short = await Promise.all(part('short', false))
  const isMixed = minutes > 0 && values.only === undefined
  const rest = [...part('long', true), ...(isMixed ? [runMixed('mixed', minutes * 60_000, seed, say, stop.signal)] : [])]
  return [...short, ...(await Promise.all(rest))]
}

let faultCount = 0
try {
  for (const report of await runAll()) {
    const tally = [...report.tally].map(([what, count]) => `${count} ${what}`).join(', ')
    say(`${report.name}: ${report.requests} requests: ${tally}`)
    for (const fault of report.faults) say(`  ${fault}`)
    faultCount += report.faultCount
  }
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  say(`chaos: ${wanted.length} faults, ${minutes} minutes mixed, ${faultCount} violations, ${seconds} s; --seed ${seed} repeats it`)
} catch (error) {
  faultCount++
  say(`chaos, --seed ${seed}: ${(error as Error).stack}`)
}
await cleanUp()
process.exit(faultCount === 0 ? 0 : 1)
