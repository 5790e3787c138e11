/** The shape of the section `blind` of the targets file; its keys (names) are checked in `blind-names.ts`. */
import { z } from 'zod'
import { duration, identifiers, ranges } from '../keys/parts.ts'

/** One name, or all names of one wildcard. */
export const blindEntrySchema = z
  .strictObject(
    {
      // Without it, any inner layer could take the name, and whoever has a certificate for it could read what is meant for another.
      identifier: identifiers.meta({
        description: 'Inner layers that hold its key and its certificate, and nobody else gets its connections.',
        examples: ['inner-layer', ['lan-1', 'lan-2']],
      }),
      allow: ranges.optional().meta({
        description: 'Addresses of clients that may connect; everybody when absent.',
        examples: [['192.0.2.0/24', '2001:db8::/32']],
      }),
      deny: ranges.optional().meta({ description: 'Addresses of clients that may not, whatever allow says.' }),
      idle: duration.optional().meta({
        description: 'Time without a byte in either direction, then the connection is cut; never when absent.',
        examples: [600_000, '10m'],
      }),
    },
    { error: 'expected a map with the key identifier' },
  )
  .meta({ description: 'A name whose TLS is carried on unopened, to an inner layer that ends it.' })

/** The section: name → entry. */
export const blindSchema = z
  .record(z.string().meta({ description: 'Public host: exact, or "*.example.com" (one label).' }), blindEntrySchema, {
    error: 'expected a map of names to inner layers',
  })
  .meta({
    description: 'Names of the app port whose TLS ends at an inner layer (--tls-for there), so that the outer layer cannot read it.',
  })
