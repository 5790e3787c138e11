/** `limits`: how much clients may ask for. */
import { z } from 'zod'
import type { TargetLimits } from '../../route/target.ts'
import { counted, given, reachesOrigin, targetKey } from './key.ts'
import { fieldName, integer, size } from './parts.ts'

const PER_SECOND = 'expected a number above 0'

const limitsMap = z.strictObject(
  {
    body: size.optional().meta({ description: 'Bytes of a request body; more: 413.' }),
    concurrency: integer(1, 1_000_000).optional().meta({ description: 'Requests at the same time; more: 503.' }),
    rate: z
      .strictObject(
        {
          perSecond: z
            .number({ error: PER_SECOND })
            .positive({ error: PER_SECOND })
            .max(1_000_000, { error: 'expected at most 1000000' })
            .meta({ description: 'Requests in a second, in the long run.' }),
          burst: integer(1, 1_000_000)
            .optional()
            .meta({ description: 'Requests that may come at once; perSecond, at least 1, when absent.' }),
          header: fieldName
            .optional()
            .meta({ description: 'Counts by the value of this field; by the address of the client when absent.' }),
        },
        { error: 'expected a map with the key perSecond' },
      )
      .optional()
      .meta({ description: 'Requests of one client; more: 429.' }),
  },
  { error: 'expected a map with the keys body, concurrency and rate' },
)

function limitsOf({ body: bodyBytes, concurrency, rate }: z.output<typeof limitsMap>): TargetLimits | undefined {
  if (given({ bodyBytes, concurrency, rate }) === undefined) return undefined
  return Object.freeze({
    bodyBytes,
    concurrency,
    rate:
      rate === undefined
        ? undefined
        : Object.freeze({
            perSecond: rate.perSecond,
            burst: rate.burst ?? Math.max(1, Math.ceil(rate.perSecond)),
            header: rate.header?.toLowerCase(),
          }),
  })
}

/** The key `limits`: the most that clients may ask for. */
export const limitsKey = targetKey({
  schema: { limits: limitsMap.optional().meta({ description: 'How much clients may ask for.' }) },
  create: ({ limits }) => ({ limits: limits && limitsOf(limits) }),
  *effects(target) {
    const { rate, concurrency, bodyBytes } = target.limits ?? {}
    if (rate !== undefined) {
      const by = rate.header === undefined ? 'each address' : `each value of ${rate.header}`
      yield ['limits.rate', `${rate.perSecond} a second for ${by}, ${rate.burst} at once`]
    }
    if (!reachesOrigin(target)) return
    if (concurrency !== undefined) yield ['limits.concurrency', `${counted(concurrency, 'request')} at the same time`]
    if (bodyBytes !== undefined) yield ['limits.body', `at most ${counted(bodyBytes, 'byte')}`]
  },
})
