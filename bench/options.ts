/** The command line of the benchmark. */
import { parseArgs } from 'node:util'

export const USAGE = `npm run bench -- [options]

  --only NAME   only this measurement; repeatable, and a beginning is enough: NAMES
  --runs N      rounds of each comparison, default 5
  --quick       one short round of each, under a minute: to see that it works, not to compare
  --json        results as JSON on standard output
  --write       put the results into docs/benchmarks.md (a full run only)
  --load node   own load generator although wrk is installed

Each measurement is printed when it is done; one that fails or hangs is named, and the next one is begun. The exit status is 1 when
one failed or a required figure was not reached, 2 when an option is wrong.
`

const MAX_RUNS = 50

/** What was asked for. */
export interface Options {
  readonly only: readonly string[]
  readonly runs: number
  readonly isQuick: boolean
  readonly isJson: boolean
  readonly isWritten: boolean
  readonly isOwnLoad: boolean
  readonly isHelp: boolean
}

/** @throws Error that says what is wrong */
export function parseOptions(argv: readonly string[], names: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      load: { type: 'string', default: 'wrk' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const runs = values.runs === undefined ? (values.quick ? 1 : 5) : Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1 || runs > MAX_RUNS) throw new Error(`--runs ${values.runs}: expected 1 to ${MAX_RUNS}`)
  const only = names.filter(name => values.only.some(wanted => name.startsWith(wanted)))
  for (const wanted of values.only) {
    if (!names.some(name => name.startsWith(wanted))) throw new Error(`--only ${wanted}: expected one of ${names.join(', ')}`)
  }
  if (values.load !== 'wrk' && values.load !== 'node') throw new Error(`--load ${values.load}: expected wrk or node`)
  if (values.write && (values.quick || only.length > 0 || runs < 5))
    throw new Error('--write: the page shows a full run of at least 5 rounds')
  return {
    only: only.length > 0 ? only : names,
    runs,
    isQuick: values.quick,
    isJson: values.json,
    isWritten: values.write,
    isOwnLoad: values.load === 'node',
    isHelp: values.help,
  }
}
