/** `health` and `retries`: what is done about an origin that cannot be reached through one inner layer. */
import { z } from 'zod'
import { DEFAULT_EJECTION, type Health, type Retries } from '../../route/target.ts'
import { formatDuration } from '../../units/durations.ts'
import { counted, mapIn, reachesOrigin, targetKey } from './key.ts'
import { duration, integer, off, PATH, text } from './parts.ts'

const healthMap = z.strictObject(
  {
    path: text(PATH)
      .regex(/^\/[\x21-\x7e]*$/, { error: PATH })
      .optional()
      .meta({ description: 'Inner layers ask the origin for it; 200 to 399 is healthy.' }),
    interval: duration.prefault('10s').meta({ description: 'Time between two questions.' }),
    timeout: duration.prefault('5s').meta({ description: 'Longest time for an answer.' }),
    unhealthy: integer(1, 100).default(3).meta({ description: 'Failures in a row that make it unhealthy.' }),
    healthy: integer(1, 100).default(2).meta({ description: 'Successes in a row that make it healthy again.' }),
    failures: integer(0, 1_000).default(DEFAULT_EJECTION.failures).meta({
      description: 'Requests in a row that did not reach the origin until the inner layer is ejected; 0: never.',
    }),
    eject: duration.prefault(formatDuration(DEFAULT_EJECTION.ejectMs)).meta({ description: 'How long, the first time.' }),
  },
  { error: 'expected a map with keys such as path and interval' },
)

function healthOf(source: z.output<typeof healthMap> | false): Health {
  if (source === false) return { ...healthOf(healthMap.parse({})), failures: 0 }
  const { path, interval, timeout, unhealthy, healthy, failures, eject } = source
  return {
    check: path === undefined ? undefined : Object.freeze({ path, intervalMs: interval, timeoutMs: timeout, unhealthy, healthy }),
    failures,
    ejectMs: eject,
  }
}

/** Which inner layers are asked last. */
export const healthKey = targetKey({
  schema: {
    health: z
      .union([off, healthMap], { error: 'expected a map with keys such as path and interval, or false' })
      .optional()
      .meta({ description: 'Which inner layers are asked last, because the origin cannot be reached through them; false: none.' }),
  },
  create: ({ health }) => ({ health: health === undefined ? undefined : Object.freeze(healthOf(health)) }),
  *faults(keys) {
    const health = mapIn(keys, 'health')
    if (health === undefined || health['path'] !== undefined) return
    for (const key of ['interval', 'timeout', 'unhealthy', 'healthy'])
      if (health[key] !== undefined) yield [['health', key], 'expected path as well: without it, nobody is asked']
  },
  *effects(target) {
    const { health } = target
    if (health === undefined || !reachesOrigin(target)) return
    if (health.check !== undefined) {
      const { path, intervalMs, timeoutMs, unhealthy, healthy } = health.check
      const times = `each ${formatDuration(intervalMs)}, ${formatDuration(timeoutMs)} long`
      yield ['health', `asks for ${path} ${times}; ${unhealthy} failures, ${healthy} successes`]
    }
    const ejection = `ejected after ${counted(health.failures, 'failure')} for ${formatDuration(health.ejectMs)}`
    yield ['health', health.failures === 0 ? 'no ejection' : ejection]
  },
})

const retriesMap = z.strictObject(
  {
    attempts: integer(0, 5).default(2).meta({ description: 'Attempts beyond the first.' }),
    budget: integer(1, 100).default(20).meta({ description: 'Percent of the requests that may be repeated.' }),
  },
  { error: 'expected a map with the keys attempts and budget' },
)

const retriesOf = (source: z.output<typeof retriesMap> | false): Retries =>
  source === false ? { attempts: 0, budgetPercent: 1 } : { attempts: source.attempts, budgetPercent: source.budget }

/** The key `retries`: requests that are repeated through another inner layer. */
export const retriesKey = targetKey({
  schema: {
    retries: z.union([off, retriesMap], { error: 'expected a map with the keys attempts and budget, or false' }).optional().meta({
      description:
        'Repeats idempotent requests through another inner layer when the origin did not answer; false: nothing is ever repeated.',
    }),
  },
  create: ({ retries }) => ({ retries: retries === undefined ? undefined : Object.freeze(retriesOf(retries)) }),
  *effects(target) {
    const { retries } = target
    if (retries === undefined || !reachesOrigin(target)) return
    const some = `up to ${retries.attempts}, for ${retries.budgetPercent} % of the requests`
    yield ['retries', retries.attempts === 0 ? 'nothing is repeated' : some]
  },
})
