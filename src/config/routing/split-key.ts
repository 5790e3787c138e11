/** `split`: several origins with a share of the requests each. */
import { z } from 'zod'
import { authorityOf } from '../../route/table.ts'
import type { Target } from '../../route/target.ts'
import { headersKey } from '../keys/headers.ts'
import { healthKey } from '../keys/health.ts'
import { identifierKey } from '../keys/identifier.ts'
import { isOn, targetKey } from '../keys/key.ts'
import { http2Key, originKey } from '../keys/origin.ts'
import { integer } from '../keys/parts.ts'
import { respondKey } from '../keys/respond.ts'
import { timeoutsKey } from '../keys/timeouts.ts'
import { tlsKey } from '../keys/tls.ts'

const MAX_PARTS = 16
const MAX_WEIGHT = 1_000_000

/** One of the origins. */
export const partSchema = z
  .strictObject(
    {
      weight: integer(0, MAX_WEIGHT).optional().meta({ description: 'Its share, beside the weights of the others.', default: 1 }),
      ...originKey.schema,
      ...identifierKey.schema,
      ...http2Key.schema,
      ...tlsKey.schema,
      ...timeoutsKey.schema,
      ...healthKey.schema,
      ...respondKey.schema,
      headers: headersKey.schema.headers,
      preserveHost: headersKey.schema.preserveHost,
    },
    { error: 'expected a map with the keys weight and hostname' },
  )
  .refine(part => (part.hostname !== undefined) !== (part.respond !== undefined && part.respond !== false), {
    error: 'expected either hostname or respond',
  })

/** An origin as the schema gives it. */
export type PartSource = z.output<typeof partSchema>

const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`

const leadsTo = (part: Target): string => {
  const { protocol, treatment, identifiers } = part
  if (treatment?.answer?.kind === 'respond') return `${treatment.answer.status} without an origin`
  return `${protocol}://${authorityOf(part)}${identifiers === undefined ? '' : ` by ${identifiers.join(' or ')}`}`
}

/** Instead of `hostname`. */
export const splitKey = targetKey({
  schema: {
    split: z
      .array(partSchema, { error: 'expected a list of origins, each a map with the keys weight and hostname' })
      .min(1, { error: 'expected at least one origin' })
      .max(MAX_PARTS, { error: `expected at most ${MAX_PARTS} origins` })
      .refine(parts => parts.some(({ weight = 1 }) => weight > 0), { error: 'expected a weight above 0' })
      .optional()
      .meta({
        description:
          'Several origins, each of which gets a share of the requests, by its weight. Each has the keys of the target that it does not have itself.',
      }),
  },
  create: () => ({}), // parts are targets of their own
  *faults(keys) {
    if (isOn(keys, 'split') && isOn(keys, 'hostname')) yield [['hostname'], 'expected either hostname or split, not both']
  },
  *effects({ split, treatment }) {
    if (split === undefined || treatment?.answer !== undefined) return
    for (const [i, part] of split.parts.entries()) yield ['split', `${percent(split.shareOf(i))} to ${leadsTo(part)}`]
  },
})
