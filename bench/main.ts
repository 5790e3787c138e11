/** `npm run bench`: see docs/benchmarks.md. Starts real processes on the loopback interface, and ends every one of them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { asContender, startGateway, startOrigins, startProxies, type Contender } from './contenders.ts'
import { Fleet, ROOT } from './fleet.ts'
import { bulk } from './groups/bulk.ts'
import { certificates } from './groups/certificates.ts'
import { connect } from './groups/connect.ts'
import { floods } from './groups/floods.ts'
import { console } from './groups/console.ts'
import { fairness } from './groups/fairness.ts'
import { cluster } from './groups/cluster.ts'
import { workers } from './groups/workers.ts'
import { idleService } from './groups/idle-service.ts'
import { https } from './groups/https.ts'
import { longLink } from './groups/long-link.ts'
import { others } from './groups/others.ts'
import { registry } from './groups/registry.ts'
import { secondProcess } from './groups/second-process.ts'
import { serviceKilled } from './groups/service-killed.ts'
import { smallRequests } from './groups/small-requests.ts'
import { sshDoor } from './groups/ssh-door.ts'
import { start } from './groups/start.ts'
import { stalled } from './groups/stalled.ts'
import { storeAway } from './groups/store-away.ts'
import { visitors } from './groups/visitors.ts'
import { webSocket } from './groups/websocket.ts'
import { tcp } from './groups/tcp.ts'
import { factsOf, lookAtMachine } from './machine.ts'
import { parseOptions, USAGE, type Options } from './options.ts'
import { groupText, isReached, replaceBetweenMarkers, report, requirementsText } from './report.ts'
import { runGroups, type FailedGroup, type GroupJob } from './run-groups.ts'

const MEASUREMENTS = [
  ...smallRequests,
  visitors,
  ...bulk,
  ...longLink,
  fairness,
  ...stalled,
  ...webSocket,
  ...https,
  ...tcp,
  ...sshDoor,
  connect,
  start,
  certificates,
  idleService,
  cluster,
  workers,
  console,
  serviceKilled,
  storeAway,
  registry,
  secondProcess,
  floods,
  others,
]
const PAGE = join(ROOT, 'docs/benchmarks.md')
/** A group that hangs must not stay. Most take under a minute with 5 rounds on a machine that does nothing else. */
const MAX_MS = 120_000
const MAX_MS_PER_ROUND = 60_000

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
  const warm = new Set<Contender>()
  const print = (text: string): void => {
    if (!options.isJson) process.stdout.write(`${text}\n\n`)
  }
  print(facts.map(fact => `- ${fact}`).join('\n'))
  const begin = (name: string): GroupJob => {
    const { measure, maxMs = MAX_MS + runs * MAX_MS_PER_ROUND } = MEASUREMENTS.find(measurement => measurement.name === name)!
    say(name)
    const part = fleet.part()
    const bench: Bench = { fleet: part, origins, contenders, client: part.client(), hasWrk, runs, isQuick, say, warm }
    return { name, maxMs, measure: () => measure(bench), end: () => part.close() }
  }
  const { groups, failed } = await runGroups(options.only, begin, result => {
    if ('group' in result) return print(groupText(result.group))
    say(failureText(result.failed))
  })
  const unreached = groups.flatMap(group => group.requirements).filter(requirement => !isReached(requirement))
  const dated = [...facts, `${new Date().toISOString().slice(0, 10)}, \`npm run bench\``]
  if (options.isJson) process.stdout.write(`${JSON.stringify({ machine, runs, groups, unreached, failed }, undefined, 2)}\n`)
  print(requirementsText(groups))
  for (const failure of failed) say(failureText(failure))
  if (options.isWritten && failed.length === 0) {
    writeFileSync(PAGE, replaceBetweenMarkers(readFileSync(PAGE, 'utf8'), report(dated, groups)))
  }
  return failed.length === 0 && unreached.length === 0
}

const failureText = ({ name, reason }: FailedGroup): string => `FAILED ${name}: ${reason}`

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
  try {
    end((await measureAll(fleet, options)) ? 0 : 1)
  } catch (error) {
    say((error as Error).stack ?? String(error))
    end(1)
  }
}
