/** `policy`: what passes. */
import { z } from 'zod'
import { messageOf } from '../../errors.ts'
import { PolicyRule } from '../../route/policy.ts'
import { listOf, type RawKeys } from './key.ts'

const METHOD = 'expected a method name such as "GET", or "*"'
const method = z
  .string({ error: METHOD })
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: METHOD }) // RFC 9110 §5.6.2
  .refine(name => name !== 'CONNECT' && name !== 'TRACE', { error: 'expected another method: CONNECT and TRACE are never forwarded' })

const METHODS = 'expected a list of methods such as ["GET", "POST"], or "*"'
/** The methods of one rule. */
export const methodsSchema = z
  .union([z.literal('*'), z.array(method).min(1, { error: 'expected at least one method' })], { error: METHODS })
  .meta({
    description: 'Methods that the rule allows, compared exactly: a list, or "*" for all but CONNECT and TRACE. GET does not imply HEAD.',
  })

const POLICY = 'expected "*" or a map of path patterns to methods'
const MAX_PATTERN = 2_000

/** The key `policy`: requests that pass. Its keys are checked by `compileRules`: a record of zod skips the value below a bad key. */
export const policySchema = {
  policy: z
    .union(
      [
        z.literal('*'),
        z.record(
          z.string().meta({
            maxLength: MAX_PATTERN,
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
    .optional(),
}

/**
 * Compiles every rule, also those of a target that is wrong otherwise.
 * @param place  tells the 1-based line of a pattern, and is told of each pattern that is none
 */
export function compileRules(
  patterns: RawKeys,
  keepsEncodedSlash: boolean,
  { lineOf, refuse }: { readonly lineOf: (pattern: string) => number; readonly refuse: (pattern: string, message: string) => void },
): readonly PolicyRule[] {
  const rules: PolicyRule[] = []
  for (const [pattern, value] of Object.entries(patterns)) {
    const methods = methodsSchema.safeParse(value)
    try {
      if (pattern.length > MAX_PATTERN) throw new Error(`expected a pattern of at most ${MAX_PATTERN} characters`)
      const allowed = methods.success ? listOf(methods.data) : []
      rules.push(new PolicyRule({ pattern, methods: allowed, line: lineOf(pattern), keepsEncodedSlash }))
    } catch (error) {
      refuse(pattern, messageOf(error))
    }
  }
  return rules
}
