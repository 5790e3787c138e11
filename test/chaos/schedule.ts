/** Faults in an order and with times that a seed makes: what the mixed run does to its world. */
import { writeFileSync } from 'node:fs'
import { Chance } from '../support/random.ts'
import { wait } from './fault.ts'
import type { Inner, World } from './world.ts'

/** One step: after a pause, something is broken for a while. */
export interface Step {
  readonly afterMs: number
  readonly what: string
  /** The number of the inner layer that it happens to. */
  readonly inner: number
  readonly forMs: number
}

type Break = (world: World, inner: Inner, forMs: number) => Promise<void>

const whileTrue = (begin: (inner: Inner) => unknown, end: (inner: Inner) => unknown): Break => {
  return async (_world, inner, forMs) => {
    begin(inner)
    await wait(forMs)
    end(inner)
  }
}
const atOnce = (act: (world: World, inner: Inner) => unknown): Break => {
  return async (world, inner) => {
    await act(world, inner)
  }
}

const restart = (signal: NodeJS.Signals): Break =>
  atOnce(async (world, { layer }) => {
    await world.end(layer, signal)
    await layer.run()
  })

/** How often, and what. */
const BREAKS: readonly (readonly [number, string, Break])[] = [
  [6, 'reset the link', atOnce((_world, { relay }) => relay.cut())],
  [3, 'end the link', atOnce((_world, { relay }) => relay.end())],
  [
    4,
    'black hole',
    whileTrue(
      ({ relay }) => relay.pause(),
      ({ relay }) => relay.resume(),
    ),
  ],
  [
    3,
    'half-open',
    whileTrue(
      ({ relay }) => relay.pause('up'),
      ({ relay }) => relay.resume(),
    ),
  ],
  [
    3,
    'delay',
    whileTrue(
      ({ relay }) => relay.setDelay(120),
      ({ relay }) => relay.setDelay(0),
    ),
  ],
  [
    2,
    'slow link',
    whileTrue(
      ({ relay }) => relay.setRate(40_000),
      ({ relay }) => relay.setRate(undefined),
    ),
  ],
  [
    2,
    'small pieces',
    whileTrue(
      ({ relay }) => relay.setSplit(11),
      ({ relay }) => relay.setSplit(undefined),
    ),
  ],
  [3, 'changed bit', atOnce((_world, { relay }) => relay.corrupt('up'))],
  [
    2,
    'refused links',
    whileTrue(
      ({ relay }) => ((relay.refuses = true), relay.cut()),
      ({ relay }) => (relay.refuses = false),
    ),
  ],
  [
    3,
    'stopped inner layer',
    whileTrue(
      ({ layer }) => layer.signal('SIGSTOP'),
      ({ layer }) => layer.signal('SIGCONT'),
    ),
  ],
  [2, 'killed inner layer', restart('SIGKILL')],
  [3, 'restarted inner layer', restart('SIGTERM')],
  [3, 'reset connections to the origin', atOnce(({ originLink }) => originLink.cut())],
  [
    2,
    'silent origin',
    async ({ originLink }, _inner, forMs) => {
      originLink.pause()
      await wait(forMs)
      originLink.resume()
    },
  ],
  [
    2,
    'refusing origin',
    async ({ originLink }, _inner, forMs) => {
      originLink.refuses = true
      originLink.cut()
      await wait(forMs)
      originLink.refuses = false
    },
  ],
  [2, 'changed targets', atOnce(world => world.writeTargets(`'added.test': { hostname: 127.0.0.1 }`))],
  [
    1,
    'broken targets',
    async (world, _inner, forMs) => (writeFileSync(world.targetsFile, 'targets: ['), await wait(forMs), world.writeTargets('')),
  ],
  [
    1,
    'stopped outer layer',
    async ({ outer }, _inner, forMs) => {
      outer.signal('SIGSTOP')
      await wait(Math.min(forMs, 1_500))
      outer.signal('SIGCONT')
    },
  ],
  [1, 'killed outer layer', async world => (await world.end(world.outer, 'SIGKILL'), world.startOuter())],
  [1, 'restarted outer layer', async world => (await world.end(world.outer, 'SIGTERM'), world.startOuter())],
  [
    1,
    'killed forward',
    async world => {
      await world.end(world.forward, 'SIGKILL')
      await world.forward.run()
    },
  ],
]
const ALL = BREAKS.flatMap(([times, what]) => Array.from({ length: times }, () => what))
const BY_NAME = new Map(BREAKS.map(([, what, run]) => [what, run]))

/** Steps for `durationMs`, as if each of them took no longer than it says. */
export const scheduleOf = (seed: number, durationMs: number): readonly Step[] => {
  const chance = new Chance(seed)
  const steps: Step[] = []
  for (let atMs = 0; atMs < durationMs;) {
    const step = { afterMs: chance.between(50, 1_200), what: chance.one(ALL), inner: chance.below(2), forMs: chance.between(50, 3_000) }
    steps.push(step)
    atMs += step.afterMs + step.forMs
  }
  return steps
}

/** Does it. */
export const carryOut = async (world: World, { afterMs, what, inner, forMs }: Step): Promise<void> => {
  await wait(afterMs)
  await BY_NAME.get(what)!(world, world.inners[inner]!, forMs)
}
