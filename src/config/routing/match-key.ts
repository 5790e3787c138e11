/** `match` of a route: the requests for its paths that it is for. */
import { z } from 'zod'
import { RouteMatch } from '../../route/route-match.ts'
import { parsedBy, text } from '../keys/parts.ts'

const MATCH = 'expected a map with the keys methods, headers and query'
const VALUES = 'expected a map of names to values'
const values = (description: string, examples: readonly Readonly<Record<string, string>>[]) =>
  z
    .record(z.string(), text('expected a text; a number in quotes'), { error: VALUES })
    .optional()
    .meta({ description, examples: [...examples] })

/** Of a route alone, beside its path. */
export const matchSchema = z
  .strictObject(
    {
      methods: z
        .array(text('expected a method such as GET'), { error: 'expected a list of methods' })
        .optional()
        .meta({ description: 'One of these, compared exactly.', examples: [['POST', 'PUT']] }),
      headers: values('Header fields, all of them: the whole value, or a regular expression (starts with "^", RE2 syntax) for it.', [
        { 'X-Version': '2' },
      ]),
      query: values('Parameters of the query, likewise, decoded; of one that is there twice the first.', [{ beta: 'true' }]),
    },
    { error: MATCH },
  )
  .check(parsedBy(source => new RouteMatch(source)))
  .meta({
    description:
      'What a request has to have as well. Of routes for the same path a method goes first, then more header fields, then more parameters, then the order in the list; where none is for a request, the next shorter path is asked.',
  })
