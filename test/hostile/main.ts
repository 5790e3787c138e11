/**
 * `npm run fuzz [-- --minutes N] [--seed S] [--only NAME] [--main FILE]`: hostile input for N minutes in all (docs/reliability.md). `--main` is the
 * `main.cjs` of another build. Ends with 1 when something was found.
 */
import { parseArgs } from 'node:util'
import { cleanUp } from '../support/cleanup.ts'
import { Chance } from '../support/random.ts'
import { PROGRAM } from '../support/process.ts'
import { FUZZERS } from './fuzzers.ts'
import { Gateway, HAS_HTTP2 } from './gateway.ts'

const USAGE = `usage: npm run fuzz -- [--minutes N] [--seed S] [--only NAME]… [--main FILE]
  --minutes N  for all programs together; 4 by default; but 20,000 schedules of the mux and each flood in any case
  --seed S     repeats the inputs of a run
  --only NAME  this program alone; repeatable
  --main FILE  main.cjs of another build
programs:`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '4' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    only: { type: 'string', multiple: true },
    main: { type: 'string', default: PROGRAM },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const say = (text: string): void => void process.stdout.write(`${text}\n`)
if (values.help) {
  say(`${USAGE} ${[...FUZZERS.keys()].join(', ')}`)
  process.exit()
}
const unknown = values.only?.find(name => !FUZZERS.has(name))
if (unknown !== undefined) {
  say(`--only ${unknown}: there is no such program; see --help`)
  process.exit(2)
}
const seed = Number(values.seed)
const names = (values.only ?? [...FUZZERS.keys()]).filter(name => {
  if (HAS_HTTP2 || !name.startsWith('http2')) return true
  say(`${name}: left out, the HTTP/2 of this Node.js is not safe`)
  return false
})
const eachMs = (Number(values.minutes) * 60_000) / names.length
say(`fuzz: seed ${seed}, Node.js ${process.versions.node}, ${Math.round(eachMs / 1000)} s each`)

let found = 0
for (const name of names) {
  const gateway = await Gateway.start(values.main)
  const startedMs = performance.now()
  const end = startedMs + eachMs
  const count = await FUZZERS.get(name)!(gateway, new Chance(seed), () => performance.now() >= end).catch((error: unknown) => {
    gateway.faults.push(String((error as Error).stack))
    return 0
  })
  const isGood = gateway.faults.length === 0
  const { outer, inner } = isGood ? await gateway.grownMiB() : { outer: NaN, inner: NaN }
  const seconds = Math.round((performance.now() - startedMs) / 1000)
  const kept = isGood
    ? `, ${outer.toFixed(1)} and ${inner.toFixed(1)} MiB more are kept, ${Math.round(gateway.peakMiB.outer)} and ${Math.round(gateway.peakMiB.inner)} MiB were the most in memory`
    : ''
  say(`${isGood ? 'ok  ' : 'FAIL'} ${name}: ${count} inputs in ${seconds} s, ${gateway.lines} access lines${kept}`)
  for (const [flood, most] of gateway.most) say(`  at most ${most.toFixed(1)} MiB more while it lasts: ${flood}`)
  for (const fault of gateway.faults) say(`  ${fault}`)
  found += gateway.faults.length
  await gateway.close()
}
say(`fuzz: ${found} found; --seed ${seed} repeats it`)
await cleanUp()
process.exit(found === 0 ? 0 : 1)
