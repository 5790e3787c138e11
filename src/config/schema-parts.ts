/** Values that several keys of the targets file share. Messages start with "expected", as those of `schema.ts`. */
import { z } from 'zod'
import { messageOf } from '../errors.ts'
import { checkFieldName, parseFieldValue } from '../http/field-edits.ts'
import { ADDRESS_RANGE, isAddressRange } from '../address/address-ranges.ts'

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

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const
const MAX_MS = 2 ** 31 - 1
const DURATION = 'expected milliseconds, or a text such as "30s", "5m" or "1h"'

const millisecondsOf = (value: number | string): number => {
  if (typeof value === 'number') return value
  const [, digits, unit] = /^(\d{1,10})(ms|s|m|h)$/.exec(value) ?? []
  return Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS]
}

/** Milliseconds as a number, or a text with a unit. @param from  the least that is allowed; 0 is for ever */
export const duration = (from: 0 | 1) =>
  z
    .union([z.int({ error: DURATION }), z.string({ error: DURATION }).regex(/^\d{1,10}(?:ms|s|m|h)$/, { error: DURATION })], {
      error: DURATION,
    })
    .transform(millisecondsOf)
    .pipe(z.int({ error: DURATION }).min(from, { error: DURATION }).max(MAX_MS, { error: DURATION }))

const UNITS_BYTES = { B: 1, kB: 1_000, MB: 1_000_000, GB: 1_000_000_000, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const
const SIZE = 'expected a number of bytes, or a text such as "64KiB", "10MiB" or "1GiB"'

const bytesOf = (value: number | string): number => {
  if (typeof value === 'number') return value
  const [, digits, unit] = /^(\d{1,10})([kKMGiB]+)$/.exec(value) ?? []
  return Number(digits) * UNITS_BYTES[unit as keyof typeof UNITS_BYTES]
}

/** Bytes as a number, or a text with a unit. */
export const size = z
  .union([z.int({ error: SIZE }), z.string({ error: SIZE }).regex(/^\d{1,10}(?:B|kB|MB|GB|KiB|MiB|GiB)$/, { error: SIZE })], {
    error: SIZE,
  })
  .transform(bytesOf)
  .pipe(z.int({ error: SIZE }).min(0, { error: SIZE }))

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
