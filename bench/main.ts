/** `npm run bench`: see docs/benchmarks.md. Starts real processes on the loopback interface, and ends every one of them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { asContender, startGateway, startOrigins, startProxies, type Contender } from './contenders.ts'
import { Fleet, ROOT } from './fleet.ts'
import { bulk } from './groups/bulk.ts'
import { connect } from './groups/connect.ts'
import { fairness } from './groups/fairness.ts'
import { https } from './groups/https.ts'
import { longLink } from './groups/long-link.ts'
import { smallRequests } from './groups/small-requests.ts'
import { sshDoor } from './groups/ssh-door.ts'
import { stalled } from './groups/stalled.ts'
import { webSocket } from './groups/websocket.ts'
import { tcp } from './groups/tcp.ts'
import { factsOf, lookAtMachine } from './machine.ts'
import { parseOptions, USAGE, type Options } from './options.ts'
import { isReached, replaceBetweenMarkers, report, type Group } from './report.ts'

const MEASUREMENTS = [...smallRequests, ...bulk, ...longLink, fairness, ...stalled, ...webSocket, ...https, ...tcp, ...sshDoor, connect]
const PAGE = join(ROOT, 'docs/benchmarks.md')
/** A run that hangs must not stay: with 5 rounds it takes under 4 minutes. */
const MAX_MS_PER_ROUND = 120_000

const say = (text: string): void => void process.stderr.write(`${text}\n`)

const measureAll = async (fleet: Fleet, options: Options): Promise<boolean> => {
  const machine = await lookAtMachine()
  const facts = factsOf(machine, { isPrivileged: fleet.isPrivileged, runs: options.runs })
  for (const fact of facts) say(fact)
  const origins = await startOrigins(fleet, machine.nginx !== undefined)
  const gateway = await startGateway(fleet, origins)
  const direct: Contender = { name: 'direct', staticPort: origins.staticPort, nodePort: origins.nodePort, pids: [] }
  const contenders = [direct, ...(await startProxies(fleet, origins)), asContender(gateway)]
  const { runs, isQuick } = options
  const hasWrk = machine.wrk !== undefined && !options.isOwnLoad
  const bench: Bench = { fleet, origins, contenders, client: fleet.client(), hasWrk, runs, isQuick, say, warm: new Set() }
  const groups: Group[] = []
  for (const { name, measure } of MEASUREMENTS.filter(measurement => options.only.includes(measurement.name))) {
    say(name)
    groups.push(await measure(bench))
  }
  const text = report([...facts, `${new Date().toISOString().slice(0, 10)}, \`npm run bench\``], groups)
  const failed = groups.flatMap(group => group.requirements).filter(requirement => !isReached(requirement))
  process.stdout.write(options.isJson ? `${JSON.stringify({ machine, runs, groups, failed }, undefined, 2)}\n` : `${text}\n`)
  if (options.isWritten) writeFileSync(PAGE, replaceBetweenMarkers(readFileSync(PAGE, 'utf8'), text))
  return failed.length === 0
}

const names = MEASUREMENTS.map(({ name }) => name)

const readOptions = (): Options | undefined => {
  try {
    return parseOptions(process.argv.slice(2), names)
  } catch (error) {
    say((error as Error).message)
    return undefined
  }
}

const options = readOptions()
if (options === undefined) process.exitCode = 2
else if (options.isHelp) process.stdout.write(USAGE.replace('NAMES', names.join(', ')))
else if (process.platform !== 'linux') {
  say('the benchmark reads CPU time and memory from /proc, so it needs Linux')
  process.exitCode = 1
} else {
  const fleet = new Fleet(say)
  const end = (status: number): never => {
    fleet.close()
    process.exit(status)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => end(130))
  process.once('exit', () => fleet.close())
  const maxMs = MAX_MS_PER_ROUND * Math.max(3, options.runs)
  setTimeout(() => {
    say(`not done after ${maxMs / 60_000} minutes`)
    end(1)
  }, maxMs).unref()
  try {
    end((await measureAll(fleet, options)) ? 0 : 1)
  } catch (error) {
    say((error as Error).stack ?? String(error))
    end(1)
  }
}
