/** Long computations that let others have their turn. */
import { setImmediate } from 'node:timers/promises'

/** The share of a turn of the event loop, milliseconds. */
const SLICE_MS = 10

/** Runs a computation to its end, and lets the event loop turn whenever it has had its share. */
export async function inSlices<Result>(work: Generator<unknown, Result>): Promise<Result> {
  let began = performance.now()
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
    if (performance.now() - began < SLICE_MS) continue
    await setImmediate()
    began = performance.now()
  }
}

/** Runs a computation to its end, in one piece. */
export function atOnce<Result>(work: Generator<unknown, Result>): Result {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}
