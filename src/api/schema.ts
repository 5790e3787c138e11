/** Pieces of the schemas of requests and replies. */
import { z } from 'zod'

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
const LONE_SURROGATE = /\p{Surrogate}/u

/** Text of a person: no control characters, no halves of characters, at most `max` characters. */
export const text = (max: number, min = 1): z.ZodString =>
  z
    .string({ error: 'expected text' })
    .min(min, { error: min === 1 ? 'expected text that is not empty' : `expected at least ${min} characters` })
    .max(max, { error: `expected at most ${max} characters` })
    .refine(value => !CONTROLS.test(value), { error: 'expected text without control characters' })
    .refine(value => !LONE_SURROGATE.test(value), { error: 'expected text of whole characters' })

export const label = text(200).meta({ description: 'Name for people; it need not be unique.' })
export const email = text(254).meta({ description: 'E-mail address.', examples: ['you@example.com'] })
export const password = text(1_000).meta({ description: 'Password; what it has to be like is up to the service.' })
/** A token of a link or of an invitation. */
export const linkToken = text(500)

/** One line of authorized_keys; what surrounds it goes, because clients send the file with its line break. */
export const publicKeyLine = z
  .string({ error: 'expected text' })
  .max(20_000, { error: 'expected at most 20000 characters' })
  .transform(value => value.trim())
  .pipe(text(20_000))
  .meta({ description: 'Public key for SSH, one line as in authorized_keys.' })

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
export const uuid = z
  .string()
  .regex(UUID)
  .transform(value => value.toLowerCase())
  .meta({ format: 'uuid', examples: ['db39a501-1010-4b5a-842d-bb6fe1fe4e2d'] })

/** In replies. */
export const id = z.string().meta({ format: 'uuid' })
export const time = z.string().meta({ format: 'date-time', description: 'RFC 3339, in UTC.' })

const LATEST_MS = Date.parse('9999-12-31T23:59:59Z')
/** In requests: milliseconds since 1970 inside. */
export const timeGiven = z.iso
  .datetime({ offset: true, error: 'expected a time such as 2026-12-31T23:59:59Z' })
  .transform(value => Date.parse(value))
  .refine(value => value >= 0 && value <= LATEST_MS, { error: 'expected a time of this age' })
  .meta({ format: 'date-time', description: 'RFC 3339.' })

/** Public half of a key, RFC 7517; which kinds are taken is up to the service. */
export const jwk = z
  .record(text(50), text(2_000), { error: 'expected a JSON Web Key with values of text' })
  .refine(value => Object.keys(value).length <= 20, { error: 'expected at most 20 members' })
  .refine(value => value['d'] === undefined, {
    error: 'expected the public half only: this has the private one, which is to be kept to oneself',
  })
  .meta({ description: 'Public half of a key, RFC 7517: EC P-256, Ed25519 or RSA.' })

const whole = (from: number, to: number, error: string): z.ZodType<number, string> =>
  z
    .string()
    .regex(/^\d{1,10}$/, { error })
    .transform(Number)
    .refine(value => value >= from && value <= to, { error })
    .meta({ type: 'integer', minimum: from, maximum: to })

/** Parameters of lists. */
export const pageQuery = {
  cursor: text(500).optional().meta({ description: 'Value of `next` of the page before.' }),
  limit: whole(1, 100, 'expected a number from 1 to 100').optional().meta({ description: 'Entries of a page, 1 to 100; default 50.' }),
}

export const trueOrFalse = z
  .enum(['true', 'false'], { error: 'expected true or false' })
  .transform(value => value === 'true')
  .optional()

/** A page of a list. */
export const page = (item: z.ZodType): z.ZodType =>
  z.object({ items: z.array(item), next: z.string().nullable().meta({ description: 'Cursor of the next page; null: this was the last.' }) })

/** The one shape of every refusal. */
export const errorSchema = z
  .object({
    error: z.string().meta({ description: 'Code of the catalogue (docs/errors.md).', examples: ['LIMIT_REACHED'] }),
    error_message: z.string().meta({ description: 'What is wrong, and what to do, for people.' }),
    request_id: z.string().meta({ description: 'Under which the operator finds the call.' }),
    details: z.array(z.object({ path: z.string(), message: z.string() })).meta({ description: 'Of INVALID: every fault with its path.' }),
  })
  .meta({ id: 'Error' })
