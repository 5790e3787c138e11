/** Whole runs of a world: each fault once, or chaos for some time. */
import { within } from '../support/wait.ts'
import type { Fault } from './fault.ts'
import { carryOut, scheduleOf } from './schedule.ts'
import { KINDS_HERE, World } from './world.ts'

/** What a run has found. */
export interface Report {
  readonly name: string
  readonly requests: number
  readonly tally: ReadonlyMap<string, number>
  readonly faultCount: number
  /** The first hundred, in words. */
  readonly faults: readonly string[]
}

export type Say = (text: string) => void

const WORKERS = 8
/** No fault takes as long; one that does is one. */
const FAULT_MS = 1_800_000

/** A world that works, from its first request to its last line. */
const runWorld = async (name: string, seed: number, use: (world: World) => Promise<void>): Promise<Report> => {
  const world = await World.create(seed, `${name}-`)
  // Every kind of request has been there before anything is counted.
  for (const kind of KINDS_HERE) await world.ask({ kind, method: 'GET' })
  await world.rememberBaseline()
  world.work(WORKERS)
  await use(world)
  await world.rest()
  for (const kind of KINDS_HERE) {
    const { isRight, status } = await world.ask({ kind, method: 'GET' })
    if (!isRight) world.ledger.fault(`afterwards a request by ${kind} got ${status}`)
  }
  await world.holdsNoMore()
  await world.close()
  const { ledger } = world
  return { name, requests: ledger.size, tally: ledger.tally, faultCount: ledger.faultCount, faults: ledger.faults }
}

/** Whatever was done: requests are served, and every link is up again. */
const recovered = async (world: World): Promise<void> => {
  await world.serves()
  await world.settled()
}

/** Each of `faults`, one after the other. */
export const runFaults = (name: string, faults: readonly Fault[], seed: number, say: Say): Promise<Report> =>
  runWorld(name, seed, async world => {
    for (const { id, what, run } of faults) {
      const before = world.ledger.faultCount
      const startedMs = performance.now()
      await within(run(world), id, FAULT_MS).catch((error: unknown) => world.ledger.fault(`${id}: ${String(error)}`))
      await recovered(world).catch((error: unknown) => world.ledger.fault(`after ${id}: ${String(error)}`))
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
      if (world.ledger.faultCount > before) say(`  ${world.ledger.faults.at(-1) ?? ''}`)
      say(`${world.ledger.faultCount === before ? 'ok  ' : 'FAIL'} ${id}: ${what} (${seconds} s)`)
    }
  })

/**
 * Does what the schedule of the seed says for `durationMs`, all of it: on a machine that is busy that takes longer. @param stop  ends it before its time
 */
export const runMixed = (name: string, durationMs: number, seed: number, say: Say, stop: AbortSignal): Promise<Report> =>
  runWorld(name, seed, async world => {
    const startedMs = performance.now()
    const minutes = (): string => ((performance.now() - startedMs) / 60_000).toFixed(1)
    const schedule = scheduleOf(seed, durationMs)
    let steps = 0
    for (const step of schedule) {
      if (stop.aborted) break
      steps++
      await within(carryOut(world, step), step.what, FAULT_MS).catch((error: unknown) =>
        world.ledger.fault(`step ${steps}, ${step.what}: ${String(error)}`),
      )
      if (steps % 100 === 0) say(`${name}: ${steps} of ${schedule.length} steps, ${minutes()} min, ${world.ledger.faultCount} violations`)
    }
    say(`${name}: ${steps} of ${schedule.length} steps in ${minutes()} min${stop.aborted ? ', ended before its time' : ''}`)
    await recovered(world).catch((error: unknown) => world.ledger.fault(`after all: ${String(error)}`))
  })
