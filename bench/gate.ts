/**
 * Whether a request costs about what it did: `node --import tsx bench/gate.ts`, in CI as well. Nothing here is a time by the clock. CPU is counted over a
 * fixed number of requests, in turns with the one-hop proxy; calls of the system and collections of garbage are counts. Each limit is about twice what
 * was measured on a busy machine when it was set (docs/performance.md): it finds what has become expensive by mistake. What is over its
 * limit is measured again: a fault of ours is there each time.
 */
import { readFileSync } from 'node:fs'
import { asContender, startGateway, startOrigins, startProxies, staticTarget, type Contender, type Gateway } from './contenders.ts'
import { Fleet, type Service } from './fleet.ts'
import { runRequests } from './load.ts'
import { callsOf, cpuSeconds } from './proc.ts'

const CONNECTIONS = 64
const WARM_UP = 4_000
const ROUNDS = 4
const REQUESTS = 3_000
/** One after the other, so that what one request takes is not shared by those that come along. */
const ALONE = 500
const ATTEMPTS = 3
/** The space of young objects has its size from the start, so that each collection stands for the same number of bytes. */
const NODE = ['--trace-gc', '--min-semi-space-size=16', '--max-semi-space-size=16']
const COLLECTION = /\b(?:Scavenge|Mark-Compact|Mark-sweep|Minor)\b/

/** What is counted, and the most that it may be. */
const LIMITS = {
  'CPU of both layers to the one-hop proxy, 64 connections': 5,
  'collections of garbage in 10,000 requests, outer layer': 25,
  'collections of garbage in 10,000 requests, inner layer': 15,
  'writes for each request, outer layer, one connection': 4,
  'writes for each request, inner layer, one connection': 4,
  'reads for each request, outer layer, one connection': 4,
  'reads for each request, inner layer, one connection': 4,
} as const

type Figure = keyof typeof LIMITS

const collectionsOf = ({ logFile }: Service): number =>
  readFileSync(logFile, 'utf8')
    .split('\n')
    .filter(line => COLLECTION.test(line)).length

/** Counts what `work` takes of each of these. */
async function counted<Name extends string>(
  counters: Readonly<Record<Name, () => number>>,
  work: () => Promise<void>,
): Promise<Record<Name, number>> {
  const names = Object.keys(counters) as Name[]
  const before = names.map(name => counters[name]())
  await work()
  return Object.fromEntries(names.map((name, index) => [name, counters[name]() - before[index]!])) as Record<Name, number>
}

async function measure({ outer, inner }: Gateway, gateway: Contender, oneHop: Contender): Promise<Record<Figure, number>> {
  const ask = (contender: Contender, connections: number, requests: number): Promise<void> =>
    runRequests(staticTarget(contender, '/1k'), { connections, requests })
  const total = { gateway: 0, oneHop: 0, outer: 0, inner: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    total.oneHop += (await counted({ cpu: () => cpuSeconds(oneHop.pids) }, () => ask(oneHop, CONNECTIONS, REQUESTS))).cpu
    const counters = { cpu: () => cpuSeconds(gateway.pids), outer: () => collectionsOf(outer), inner: () => collectionsOf(inner) }
    const taken = await counted(counters, () => ask(gateway, CONNECTIONS, REQUESTS))
    total.gateway += taken.cpu
    total.outer += taken.outer
    total.inner += taken.inner
  }
  const counters = {
    outerReads: () => callsOf(outer.pid).reads,
    outerWrites: () => callsOf(outer.pid).writes,
    innerReads: () => callsOf(inner.pid).reads,
    innerWrites: () => callsOf(inner.pid).writes,
  }
  const calls = await counted(counters, () => ask(gateway, 1, ALONE))
  const per10k = 10_000 / (ROUNDS * REQUESTS)
  return {
    'CPU of both layers to the one-hop proxy, 64 connections': total.gateway / total.oneHop,
    'collections of garbage in 10,000 requests, outer layer': total.outer * per10k,
    'collections of garbage in 10,000 requests, inner layer': total.inner * per10k,
    'writes for each request, outer layer, one connection': calls.outerWrites / ALONE,
    'writes for each request, inner layer, one connection': calls.innerWrites / ALONE,
    'reads for each request, outer layer, one connection': calls.outerReads / ALONE,
    'reads for each request, inner layer, one connection': calls.innerReads / ALONE,
  }
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function isWithin(fleet: Fleet): Promise<boolean> {
  const origins = await startOrigins(fleet, false)
  const [oneHop] = await startProxies(fleet, origins)
  const running = await startGateway(fleet, origins, { node: NODE })
  const gateway = asContender(running)
  for (const contender of [oneHop!, gateway])
    await runRequests(staticTarget(contender, '/1k'), { connections: CONNECTIONS, requests: WARM_UP })
  const least = new Map<Figure, number>()
  let over: Figure[] = []
  for (let attempt = 1; attempt <= ATTEMPTS && (attempt === 1 || over.length > 0); attempt++) {
    const figures = await measure(running, gateway, oneHop!)
    for (const name of Object.keys(LIMITS) as Figure[]) least.set(name, Math.min(figures[name], least.get(name) ?? Infinity))
    over = [...least].filter(([name, value]) => !(value <= LIMITS[name])).map(([name]) => name)
  }
  for (const [name, value] of least)
    say(`${over.includes(name) ? 'OVER' : 'ok  '} ${value.toFixed(2).padStart(6)} of ${LIMITS[name]}  ${name}`)
  return over.length === 0
}

if (process.platform !== 'linux') say('what a request costs is read from /proc, so this needs Linux')
else {
  const fleet = new Fleet(say)
  process.once('exit', () => fleet.close())
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
  process.exit((await isWithin(fleet)) ? 0 : 1)
}
