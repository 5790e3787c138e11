/** `timeouts`: how long to wait for the origin. */
import { z } from 'zod'
import { formatDuration } from '../../units/durations.ts'
import { given, reachesOrigin, targetKey } from './key.ts'
import { duration, durationOrNever } from './parts.ts'

/** The key `timeouts`: the longest times to wait. */
export const timeoutsKey = targetKey({
  schema: {
    timeouts: z
      .strictObject(
        {
          connect: duration.optional().meta({ description: 'Until the origin has accepted a connection.' }),
          head: duration.optional().meta({ description: 'Silence of the origin before its answer begins; --timeout when absent.' }),
          idle: durationOrNever
            .optional()
            .meta({ description: 'Silence in the middle of an answer or of an upgraded connection; 0: for ever.' }),
        },
        { error: 'expected a map with the keys connect, head and idle' },
      )
      .optional()
      .meta({ description: 'How long to wait for the origin.' }),
  },
  create: ({ timeouts: { connect: connectMs, head: headMs, idle: idleMs } = {} }) => ({ timeouts: given({ connectMs, headMs, idleMs }) }),
  *effects(target) {
    const { connectMs, headMs, idleMs } = target.timeouts ?? {}
    if (!reachesOrigin(target)) return
    if (connectMs !== undefined) yield ['timeouts.connect', formatDuration(connectMs)]
    if (headMs !== undefined) yield ['timeouts.head', formatDuration(headMs)]
    if (idleMs !== undefined) yield ['timeouts.idle', idleMs === 0 ? 'for ever' : formatDuration(idleMs)]
  },
})
