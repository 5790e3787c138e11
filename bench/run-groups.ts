/** Measures one group after the other, each within its own time, and goes on behind one that fails. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Group } from './report.ts'

/** One group to be measured. */
export interface GroupJob {
  readonly name: string
  readonly maxMs: number
  readonly measure: () => Promise<Group>
  /** Ends what it has started, also when it has not come to its end. */
  readonly end: () => void
}

/** A group of which there are no figures. */
export interface FailedGroup {
  readonly name: string
  readonly reason: string
}

/** What came of all. */
export interface Outcome {
  readonly groups: readonly Group[]
  readonly failed: readonly FailedGroup[]
}

const within = async <T>(ms: number, work: Promise<T>): Promise<T> => {
  const timer = new AbortController()
  const late = delay(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`not done after ${Math.round(ms / 1_000)} s`)
  })
  late.catch(() => undefined) // the abort below
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
  }
}

/**
 * Measures the groups in their order.
 * @param begin  starts a group by its name; what it throws is that group's failure
 * @param done  told of each as it is over
 */
export const runGroups = async (
  names: readonly string[],
  begin: (name: string) => GroupJob,
  done: (result: { readonly group: Group } | { readonly failed: FailedGroup }) => void,
): Promise<Outcome> => {
  const groups: Group[] = []
  const failed: FailedGroup[] = []
  for (const name of names) {
    let job: GroupJob | undefined
    try {
      job = begin(name)
      const group = await within(job.maxMs, job.measure())
      groups.push(group)
      done({ group })
    } catch (error) {
      const failure = { name, reason: error instanceof Error ? error.message : String(error) }
      failed.push(failure)
      done({ failed: failure })
    } finally {
      job?.end()
    }
  }
  return { groups, failed }
}
