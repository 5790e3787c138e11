/** `stripPrefix` and `rewrite`: the paths that the origin gets. */
import { z } from 'zod'
import { parsePrefix, PatternMap, PrefixMap, type PathMap } from '../../route/path-map.ts'
import type { RoutePath } from '../../route/routes.ts'
import { notBoth, targetKey } from './key.ts'
import { off, parsedBy, PATH, text } from './parts.ts'

const prefix = text(PATH).check(parsedBy(parsePrefix))

const schema = {
  stripPrefix: z
    .union([z.boolean(), prefix], { error: 'expected true (the path of the route), false, or a path such as "/app"' })
    .optional()
    .meta({
      description:
        'Removes this prefix from paths before the origin gets them; true: the path of the route. Location, Content-Location and the Path of cookies are mapped back.',
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
        'A path: stands for the path of the route (or is put before every path), and is mapped back. A map: paths that match the whole pattern (RE2 syntax) become "to".',
      examples: ['/internal', { pattern: '^/users/([0-9]+)', to: '/api/user/$1' }],
    }),
}

type Source = z.output<z.ZodObject<typeof schema>>

function pathMapOf({ stripPrefix, rewrite }: Source, path: RoutePath | undefined): PathMap | undefined {
  const own = path?.prefix === undefined ? '' : parsePrefix(path.prefix === '' ? '/' : path.prefix)
  if (typeof rewrite === 'object') return new PatternMap(rewrite.pattern, rewrite.to)
  if (typeof rewrite === 'string') return new PrefixMap(own, parsePrefix(rewrite))
  const strip = stripPrefix === true ? own : typeof stripPrefix === 'string' ? parsePrefix(stripPrefix) : ''
  return strip === '' ? undefined : new PrefixMap(strip, '')
}

/** Other paths for the origin. */
export const pathsKey = targetKey({
  schema,
  create: (source, { path }) => ({ pathMap: pathMapOf(source, path) }),
  faults: keys => notBoth(keys, 'stripPrefix', 'rewrite'),
  *effects({ treatment }) {
    if (treatment?.pathMap !== undefined) yield ['path', treatment.pathMap.text]
  },
})
