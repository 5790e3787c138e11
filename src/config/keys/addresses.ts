/** `allow` and `deny`: clients by their address. */
import { AddressRanges } from '../../address/address-ranges.ts'
import { listOf, targetKey } from './key.ts'
import { ranges } from './parts.ts'

const rangesOf = (entries: string | readonly string[] | undefined): AddressRanges | undefined =>
  entries === undefined ? undefined : new AddressRanges(listOf(entries))

/** The keys `allow` and `deny`: clients that may come, by address. */
export const addressesKey = targetKey({
  schema: {
    allow: ranges
      .optional()
      .meta({ description: 'Addresses of clients that may come; every other gets 403.', examples: [['10.0.0.0/8', '::1']] }),
    deny: ranges.optional().meta({ description: 'Addresses of clients that may not come, even if they are allowed.' }),
  },
  create: ({ allow, deny }) => ({ allow: rangesOf(allow), deny: rangesOf(deny) }),
  *effects({ treatment }) {
    const { allow, deny } = treatment ?? {}
    if (deny !== undefined && deny.entries.length > 0) yield ['deny', `not from ${deny.entries.join(', ')}`]
    if (allow !== undefined) yield ['allow', allow.entries.length === 0 ? 'from nowhere' : `only from ${allow.entries.join(', ')}`]
  },
})
