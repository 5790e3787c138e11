/**
 * The shape of the targets file. Messages start with "expected"; what was got instead is added where the place is known. Keys of the
 * two maps (hosts, patterns) are checked in `targets.ts`, because a record of zod skips the value below a bad key.
 * A later key of a target goes into `targetSchema`, a later section of the file (tcp, tunnels) into `targetsFileSchema`.
 */
import { z } from 'zod'
import { parseOriginHost } from '../address/host.ts'
import { RoutePath } from '../route/routes.ts'
import { identifiers, originPort, parsedBy } from './schema-parts.ts'
import { treatmentKeys } from './schema-keys.ts'
import { tcpSchema } from './tcp-schema.ts'
import { tunnelsSchema } from './tunnels-schema.ts'

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/ // RFC 9110 §5.6.2

const method = z
  .string({ error: 'expected a method name such as "GET", or "*"' })
  .regex(METHOD, { error: 'expected a method name such as "GET", or "*"' })
  .refine(name => name !== 'CONNECT' && name !== 'TRACE', { error: 'expected another method: CONNECT and TRACE are never forwarded' })

const METHODS = 'expected a list of methods such as ["GET", "POST"], or "*"'
/** The methods of one rule. */
export const methodsSchema = z
  .union([z.literal('*'), z.array(method).min(1, { error: 'expected at least one method' })], { error: METHODS })
  .meta({
    description: 'Methods that the rule allows, compared exactly: a list, or "*" for all but CONNECT and TRACE. GET does not imply HEAD.',
  })

const POLICY = 'expected "*" or a map of path patterns to methods'
const policy = z
  .union(
    [
      z.literal('*'),
      z.record(
        z.string().meta({
          maxLength: 2000,
          pattern: '^(\\*$|/|\\^)',
          description:
            'A literal path (starts with "/"), a regular expression (starts with "^", RE2 syntax, matches the whole path), or "*"',
        }),
        methodsSchema,
      ),
    ],
    { error: POLICY },
  )
  .meta({
    description: 'What the target allows: "*" (everything but CONNECT and TRACE), or a map. A request passes when any rule allows it.',
    default: '*',
    examples: ['*', { '/helloworld': ['GET', 'POST'], '^/v1/.*': '*' }],
  })

const originKeys = {
  protocol: z
    .enum(['http', 'https'], { error: 'expected "http" or "https"' })
    .optional()
    .meta({ description: 'How the inner layer talks to the origin.', default: 'https' }),
  hostname: z
    .string({ error: 'expected the host name or IP address of the origin' })
    .check(parsedBy(parseOriginHost, 'expected a host name or IP address: '))
    .optional()
    .meta({
      description:
        'Host name or IP address of the origin, as the inner layer reaches it. Needed unless redirect, respond or routes say what to do.',
      examples: ['my.private.api', '127.0.0.1', '::1'],
    }),
  port: originPort.optional().meta({ description: 'Port of the origin; 443 for https, 80 for http when absent.' }),
  policy: policy.optional(),
  identifier: identifiers.optional().meta({
    description: 'Inner layers that may serve the target; any connected one when absent.',
    examples: ['inner-layer', ['lan-1', 'lan-2']],
  }),
}

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
    ...originKeys,
    ...treatmentKeys,
  },
  { error: 'expected a map with the key path' },
)

/** One target. */
export const targetSchema = z
  .strictObject(
    {
      ...originKeys,
      routes: z.array(routeSchema, { error: 'expected a list of routes, each a map with the key path' }).optional().meta({
        description:
          'Paths that are dealt with otherwise. An expression goes before a prefix, a longer text before a shorter one; the order in the list means nothing. A route has every key of its target that it does not have itself.',
      }),
      ...treatmentKeys,
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
          description: 'Public host: exact, "*.example.com" (one label), or "*" for every other host. Case and port do not count.',
        }),
        targetSchema,
        { error: 'expected a map of public hosts to targets' },
      )
      .meta({ description: 'Public host → target.' }),
    tcp: tcpSchema.optional(),
    tunnels: tunnelsSchema.optional(),
  },
  { error: 'expected a map with the key targets' },
)
