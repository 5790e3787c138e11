/** `stripPrefix`, `slashRedirect`, `rewrite` and `encodedSlash`: the paths that the origin gets. */
import { z } from 'zod'
import { messageOf } from '../../errors.ts'
import { slashRedirectOf } from '../../route/admit.ts'
import { compilePattern, compileReplacement, parsePrefix, PatternMap, PrefixMap, type PathMap } from '../../route/path-map.ts'
import type { RoutePath } from '../../route/routes.ts'
import { mapIn, notBoth, targetKey, type KeyFault, type RawKeys } from './key.ts'
import { flag, off, parsedBy, PATH, text } from './parts.ts'

const prefix = text(PATH).check(parsedBy(parsePrefix))

const SLASH_REDIRECT = true
const ENCODED_SLASH = 'refuse'

const schema = {
  stripPrefix: z
    .union([z.boolean(), prefix], { error: 'expected true (the path of the route), false, or a path such as "/app"' })
    .optional()
    .meta({
      description:
        'Removes this prefix from paths before the origin gets them; true: the path of the route. Location, Content-Location and the Path of cookies are mapped back.',
    }),
  slashRedirect: flag.optional().meta({
    description:
      'GET and HEAD of exactly the prefix that is stripped, such as /app, are sent to /app/ (307): relative links of the page would lead elsewhere. false: the origin gets "/".',
    default: SLASH_REDIRECT,
  }),
  rewrite: z
    .union(
      [
        off,
        prefix,
        z.strictObject(
          {
            pattern: text('expected a regular expression that starts with "^"'),
            to: text('expected a path that starts with "/", with $1 … $9 for groups'),
          },
          { error: 'expected a map with the keys pattern and to' },
        ),
      ],
      { error: 'expected a path, or a map with the keys pattern and to' },
    )
    .optional()
    .meta({
      description:
        'A path: stands for the path of the route (or is put before every path), and is mapped back. A map: paths that match the whole pattern (RE2 syntax) become "to", which may have a query.',
      examples: ['/internal', { pattern: '^/users/([0-9]+)', to: '/api/user/$1' }, { pattern: '^/view/(.+)', to: '/view?name=$1' }],
    }),
  encodedSlash: z.enum(['refuse', 'keep'], { error: 'expected "refuse" or "keep"' }).optional().meta({
    description:
      'Paths with %2F, where the path decides on anything (routes, a policy, stripPrefix, rewrite, redirect, respond): refused with 400, or kept, compared and forwarded as they are, never decoded.',
    default: ENCODED_SLASH,
  }),
}

type Source = z.output<z.ZodObject<typeof schema>>

function pathMapOf(
  { stripPrefix, rewrite, slashRedirect = SLASH_REDIRECT, encodedSlash }: Source,
  path: RoutePath | undefined,
): PathMap | undefined {
  const own = path?.prefix === undefined ? '' : parsePrefix(path.prefix === '' ? '/' : path.prefix)
  if (typeof rewrite === 'object') return new PatternMap(rewrite.pattern, rewrite.to, encodedSlash === 'keep')
  if (typeof rewrite === 'string') return new PrefixMap(own, parsePrefix(rewrite))
  const strip = stripPrefix === true ? own : typeof stripPrefix === 'string' ? parsePrefix(stripPrefix) : ''
  return strip === '' ? undefined : new PrefixMap(strip, '', slashRedirect)
}

/** Yields the faults of a pattern and of its replacement, each at its own line. */
function* rewriteFaults(keys: RawKeys): Generator<KeyFault> {
  const { pattern, to } = mapIn(keys, 'rewrite') ?? {}
  if (typeof pattern !== 'string' || typeof to !== 'string') return
  let groups = 9
  try {
    groups = compilePattern(pattern).groupCount()
  } catch (error) {
    yield [['rewrite', 'pattern'], messageOf(error)]
  }
  try {
    compileReplacement(to, groups, keys['encodedSlash'] === 'keep')
  } catch (error) {
    yield [['rewrite', 'to'], messageOf(error)]
  }
}

/** Other paths for the origin. */
export const pathsKey = targetKey({
  schema,
  create: (source, { path }) => ({ pathMap: pathMapOf(source, path) }),
  *faults(keys) {
    yield* notBoth(keys, 'stripPrefix', 'rewrite')
    yield* rewriteFaults(keys)
  },
  *effects(target, { method, path, query }) {
    const { treatment } = target
    const location = slashRedirectOf(target, method, path, query)
    if (location !== undefined) yield ['slashRedirect', `307 ${location}`]
    if (treatment?.pathMap !== undefined) yield ['path', treatment.pathMap.text]
    if (target.keepsEncodedSlash === true) yield ['encodedSlash', '%2F stays as it is']
  },
})

/** Is `%2F` kept? A part of the target itself: policies and routes ask for it. */
export const keepsEncodedSlash = ({ encodedSlash = ENCODED_SLASH }: Pick<Source, 'encodedSlash'>): true | undefined =>
  encodedSlash === 'keep' ? true : undefined
