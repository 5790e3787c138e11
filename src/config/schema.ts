/**
 * The shape of the targets file. Messages start with "expected"; what was got instead is added where the place is known. Keys of the
 * two maps (hosts, patterns) are checked in `targets.ts`, because a record of zod skips the value below a bad key.
 */
import { z } from 'zod'
import { RoutePath } from '../route/routes.ts'
import { parsedBy } from './keys/parts.ts'
import { blindSchema } from './blind/blind-schema.ts'
import { matchSchema } from './routing/match-key.ts'
import { leadingSchema, otherSchema } from './target-keys.ts'
import { tcpSchema } from './tcp-schema.ts'
import { tunnelsSchema } from './tunnels-schema.ts'

const ROUTE_PATH = 'expected a path that starts with "/", or a regular expression that starts with "^"'

/** One route of a target: the keys of a target, for some of its paths. */
export const routeSchema = z.strictObject(
  {
    path: z
      .string({ error: ROUTE_PATH })
      .check(parsedBy(text => new RoutePath(text)))
      .meta({
        description:
          'A prefix by whole segments ("/v1" is /v1 and what is below, "/v1/" only what is below), or a regular expression (starts with "^", RE2 syntax, matches the whole path).',
        examples: ['/v1', '^/users/[0-9]+'],
      }),
    match: matchSchema.optional(),
    ...leadingSchema,
    ...otherSchema,
  },
  { error: 'expected a map with the key path' },
)

/** One target. */
export const targetSchema = z
  .strictObject(
    {
      ...leadingSchema,
      routes: z.array(routeSchema, { error: 'expected a list of routes, each a map with the key path' }).optional().meta({
        description:
          'Paths that are dealt with otherwise. An expression goes before a prefix, a longer text before a shorter one; the order in the list means nothing, but between conditions (match) that say as much. A route has every key of its target that it does not have itself.',
      }),
      ...otherSchema,
    },
    { error: 'expected a map with the key hostname' },
  )
  .meta({ description: 'Where the requests of one public host go, and which of them pass.' })

/** The file. */
export const targetsFileSchema = z.strictObject(
  {
    $schema: z.string({ error: 'expected a text' }).optional().meta({ description: 'JSON Schema of this file, for editors.' }),
    targets: z
      .record(
        z.string().meta({
          description:
            'Public host: exact, "*.example.com" (one label), "**.example.com" (any number of labels), or "*" for every other host. Case and port do not count.',
        }),
        targetSchema,
        { error: 'expected a map of public hosts to targets' },
      )
      .optional()
      .meta({ description: 'Public host → target.' }),
    blind: blindSchema.optional(),
    tcp: tcpSchema.optional(),
    tunnels: tunnelsSchema.optional(),
  },
  { error: 'expected a map with the keys targets, tcp, tunnels and blind' },
)
