/** Values that several keys of the targets file share. Messages start with "expected"; what was got instead is added where the place is known. */
import { z } from 'zod'
import { DURATION, DURATION_FORM, LONGEST_TIMER_MS, parseDuration } from '../../units/durations.ts'
import { parseSize, SIZE, SIZE_FORM } from '../../units/sizes.ts'
import { messageOf } from '../../errors.ts'
import { checkFieldName, parseFieldValue } from '../../http/field-edits.ts'
import { ADDRESS_RANGE, isAddressRange } from '../../address/address-ranges.ts'

/** A check that is a parser: what it throws is the fault, complete. */
export const parsedBy =
  <T>(parse: (value: T) => unknown, prefix = '') =>
  (context: { readonly value: T; readonly issues: unknown[] }): void => {
    try {
      parse(context.value)
    } catch (error) {
      context.issues.push({ code: 'custom', message: prefix + messageOf(error), input: context.value, params: { complete: true } })
    }
  }

/** A whole number between two others. */
export const integer = (from: number, to: number): z.ZodInt => {
  const error = `expected an integer from ${from} to ${to}`
  return z.int({ error }).min(from, { error }).max(to, { error })
}

/** The port of an origin. */
export const originPort = integer(1, 65_535)

const IDENTIFIER = 'expected the identifier of an inner layer: a text of 1 to 255 printable characters'
const identifier = z.string({ error: IDENTIFIER }).regex(/^[^\p{C}]{1,255}$/u, { error: IDENTIFIER })
/** One or more inner layers. */
export const identifiers = z.union([identifier, z.array(identifier).min(1, { error: 'expected at least one identifier' })], {
  error: 'expected the identifier of an inner layer, or a list of them',
})

const DURATION_VALUE = `expected ${DURATION}`

const durationFrom = (from: 0 | 1) =>
  z
    .union([z.int({ error: DURATION_VALUE }), z.string({ error: DURATION_VALUE }).regex(DURATION_FORM, { error: DURATION_VALUE })], {
      error: DURATION_VALUE,
    })
    .transform(value => parseDuration(String(value)) ?? NaN)
    .pipe(z.int({ error: DURATION_VALUE }).min(from, { error: DURATION_VALUE }).max(LONGEST_TIMER_MS, { error: DURATION_VALUE }))

/** Milliseconds as a number, or a text with a unit. */
export const duration = durationFrom(1)
/** The same, where 0 is for ever. */
export const durationOrNever = durationFrom(0)

/** Is it the schema of a duration? */
export const isDuration = (schema: unknown): boolean => schema === duration || schema === durationOrNever

const SIZE_VALUE = `expected ${SIZE}`

/** Bytes as a number, or a text with a unit. */
export const size = z
  .union([z.int({ error: SIZE_VALUE }), z.string({ error: SIZE_VALUE }).regex(SIZE_FORM, { error: SIZE_VALUE })], { error: SIZE_VALUE })
  .transform(value => parseSize(String(value)) ?? NaN)
  .pipe(z.int({ error: SIZE_VALUE }).min(0, { error: SIZE_VALUE }))

const RANGE = `expected ${ADDRESS_RANGE}`
const range = z.string({ error: RANGE }).refine(isAddressRange, { error: RANGE })
/** One or more addresses. */
export const ranges = z.union([range, z.array(range)], { error: `${RANGE}, or a list of them` })

const VALUE = 'expected a text'
const value = z.string({ error: VALUE }).check(parsedBy(parseFieldValue))

/** The names of a map of fields: a record of zod would skip the value below a bad one. */
const checkNames =
  (direction: 'request' | 'response') =>
  (context: { readonly value: Readonly<Record<string, unknown>>; readonly issues: unknown[] }): void => {
    for (const name of Object.keys(context.value)) {
      try {
        checkFieldName(name, direction)
      } catch (error) {
        context.issues.push({ code: 'custom', path: [name], message: messageOf(error), input: name, params: { complete: true } })
      }
    }
  }

const FIELDS = 'expected a map of header names to values'
const fieldMap = (direction: 'request' | 'response') => z.record(z.string(), value, { error: FIELDS }).check(checkNames(direction))

/** Fields of an answer of ours. */
export const answerFields = fieldMap('response')

/** `set`, `add` and `remove`. */
export const fieldEdits = (direction: 'request' | 'response') =>
  z.strictObject(
    {
      set: fieldMap(direction).optional().meta({ description: 'Replaces every field of the name, or adds it.' }),
      add: z
        .record(
          z.string(),
          z.union([value, z.array(value).min(1, { error: 'expected at least one value' })], { error: `${VALUE} or a list of texts` }),
          { error: FIELDS },
        )
        .check(checkNames(direction))
        .optional()
        .meta({ description: 'Adds fields beside those that are there.' }),
      remove: z
        .array(z.string({ error: 'expected the name of a header field' }).check(parsedBy(name => checkFieldName(name, direction))), {
          error: 'expected a list of header names',
        })
        .optional()
        .meta({ description: 'Removes every field of these names.' }),
    },
    { error: 'expected a map with the keys set, add and remove' },
  )

/** A text. @param error  what was expected */
export const text = (error: string): z.ZodString => z.string({ error })
/** True or false. */
export const flag = z.boolean({ error: 'expected true or false' })
/** The value that switches off a key of the target in one of its routes. */
export const off = z.literal(false)

/** A token: RFC 9110 §5.6.2. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/
/** The name of a header field. */
export const fieldName = text('expected the name of a header field').regex(TOKEN, { error: 'expected the name of a header field' })

/** The message for a value that is not a path. */
export const PATH = 'expected a path that starts with "/"'

const FILE = 'expected the path of a file'
/** The path of a file. */
export const file = text(FILE).min(1, { error: FILE })

const isLocal = (hostname: string): boolean =>
  /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname) || hostname.endsWith('.localhost')

/** HTTPS, or HTTP to this machine alone: what is asked for there decides who comes. */
export const isSafeUrl = (value: string): boolean => {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, username, password, hash, search } = new URL(value)
  if (username !== '' || password !== '' || hash !== '' || search !== '') return false
  return protocol === 'https:' || (protocol === 'http:' && isLocal(hostname))
}
