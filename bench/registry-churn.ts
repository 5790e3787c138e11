/**
 * Connections of inner layers that come all at once, and go all at once: `node --import tsx bench/registry-churn.ts POOL COUNT`. Prints the CPU of
 * both, and the longest time in which nothing else could run.
 */
import { Registry } from '../src/outer/inner-layers/registry.ts'
import { connectionOf, HereCarrier } from '../test/outer/carriers.ts'

const [pool, count] = process.argv.slice(2)
const carrier = new HereCarrier()
/** The code that is measured is compiled by then. */
const ROUNDS = 12

/** One turn of the loop. */
const turn = (work: () => void): { readonly cpuMs: number; readonly ms: number } => {
  const [cpu, begun] = [process.cpuUsage(), performance.now()]
  work()
  const ms = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  return { cpuMs: (user + system) / 1e3, ms }
}

const rounds = Array.from({ length: ROUNDS }, () => {
  const registry = new Registry()
  const all = Array.from({ length: Number(count) }, (_, i) =>
    connectionOf(carrier, `inner-${i}`, `process ${i}`, pool === 'tunnel' ? 'tunnel' : 'operator'),
  )
  const come = turn(() => all.forEach(connection => registry.add(connection)))
  const go = turn(() => all.forEach(connection => registry.remove(connection)))
  if (registry.size !== 0) throw new Error('connections are left')
  return { cpuMs: come.cpuMs + go.cpuMs, comeMs: come.ms, goMs: go.ms }
})
// The first one is that of a process that has just started; of the others the least is what it costs without the rest of the machine.
const least = (pick: (round: (typeof rounds)[number]) => number): number => Math.min(...rounds.map(pick))
const figures = { cpuMs: rounds[0]!.cpuMs, comeMs: least(({ comeMs }) => comeMs), goMs: least(({ goMs }) => goMs) }
process.stdout.write(`${JSON.stringify(figures)}\n`)
