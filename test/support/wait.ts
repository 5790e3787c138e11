/** Waiting for what is true some time soon, always with a deadline and never with a bare sleep. */
import { once as nodeOnce, type EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

/** Between two looks: little at first, and a fiftieth of what has been waited later, since many wait at once. */
const MIN_POLL_MS = 5
const MAX_POLL_MS = 50

/** The patience of every wait, milliseconds: more than a machine takes that is overloaded. A wait that succeeds never lasts that long. */
export let DEADLINE_MS = 120_000

/** Makes every wait of this process longer: for programs that load the machine themselves. */
export const bePatient = (deadlineMs: number): void => {
  DEADLINE_MS = deadlineMs
}

/** A process that gets few turns sees little of two minutes: a wait goes on, for three times as long at most, until it has looked as often as an idle machine would. */
const BUSY_FACTOR = 3
const LOOK_MS = 60

/** Deadlines that have not come yet, and how often waits were given up. */
const deadlines = new Set<NodeJS.Timeout>()
let givenUp = 0

/**
 * Gives up what is still waited for, at the end of a test file: a test that has failed leaves waits behind that nobody awaits, and their errors would
 * come a minute later and be taken for faults of the file that runs then.
 */
export const giveUpWaits = (): void => {
  givenUp++
  for (const deadline of deadlines) clearTimeout(deadline)
  deadlines.clear()
}

/** Calls `late` when the deadline passes. @returns a function that takes it back */
const atDeadline = (deadlineMs: number, late: () => void): (() => void) => {
  const deadline = setTimeout(() => {
    deadlines.delete(deadline)
    late()
  }, deadlineMs)
  deadlines.add(deadline)
  return () => {
    deadlines.delete(deadline)
    clearTimeout(deadline)
  }
}

export interface UntilOptions {
  readonly deadlineMs?: number
  /** Completes the sentence "waited 120000 ms for …". */
  readonly what?: string
}

/**
 * Polls `probe` until it returns something truthy, and returns that.
 * @throws Error that names `what` (and keeps the last thing thrown by the probe) when the deadline passes first
 */
export const until = async <T>(
  probe: () => T | Promise<T>,
  { deadlineMs = DEADLINE_MS, what }: UntilOptions = {},
): Promise<NonNullable<T>> => {
  const begunMs = performance.now()
  const begun = givenUp
  let thrown: unknown
  for (let looks = 1; ; looks++) {
    try {
      const value = await probe()
      if (value) return value
      thrown = undefined
    } catch (error) {
      thrown = error
    }
    const waitedMs = performance.now() - begunMs
    if (waitedMs >= deadlineMs && begun !== givenUp) return new Promise(() => undefined)
    const late = waitedMs >= deadlineMs && (looks >= deadlineMs / LOOK_MS || waitedMs >= deadlineMs * BUSY_FACTOR)
    if (late) throw new Error(`waited ${deadlineMs} ms for ${what ?? probe.toString()}`, { cause: thrown })
    // What is given up keeps nothing alive: the loser of a race looks on for a minute, and the worker would not end.
    await delay(Math.min(MIN_POLL_MS + waitedMs / 50, MAX_POLL_MS), undefined, { ref: begun === givenUp })
  }
}

/**
 * The arguments of the next `event` of `emitter`.
 * @throws Error when the deadline passes first, or whatever the emitter emits as 'error' meanwhile
 */
export const once = async (emitter: EventEmitter, event: string, deadlineMs = DEADLINE_MS): Promise<unknown[]> => {
  const deadline = new AbortController()
  const takeBack = atDeadline(deadlineMs, () => deadline.abort())
  const { signal } = deadline
  try {
    return (await nodeOnce(emitter, event, { signal })) as unknown[]
  } catch (error) {
    throw signal.aborted ? new Error(`waited ${deadlineMs} ms for the event '${event}'`) : error
  } finally {
    takeBack()
  }
}

/** `promise`, or an error that names `what` after `deadlineMs`. */
export const within = async <T>(promise: Promise<T>, what: string, deadlineMs = DEADLINE_MS): Promise<T> => {
  let takeBack = (): void => undefined
  const late = new Promise<never>((_resolve, reject) => {
    takeBack = atDeadline(deadlineMs, () => reject(new Error(`waited ${deadlineMs} ms for ${what}`)))
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    takeBack()
  }
}
