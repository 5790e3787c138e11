import { emailKey } from '../../route/access.ts'
import type { ProviderConfig } from '../config.ts'
import type { Person } from '../session/session.ts'
import type { LoginEnd } from './provider.ts'

/** Characters of groups and claims that a cookie has room for. */
const MAX_KEPT = 1_400
const MAX_TEXT = 254

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined

const textsOf = (value: unknown): readonly string[] => {
  const all: readonly unknown[] = Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]
  return all.filter(each => ['string', 'number', 'boolean'].includes(typeof each)).map(String)
}

/**
 * Who somebody is, by the claims of a provider (OpenID Connect Core §5.1). An address for which it does not vouch is nobody's: it would be a
 * key to what was meant for its owner.
 * @param claims  without anything of their own prototype
 * @param taken   characters of the cookie that something else takes
 */
export function personOf(config: ProviderConfig, claims: Readonly<Record<string, unknown>>, taken = 0): LoginEnd {
  const own = (name: string): unknown => (Object.hasOwn(claims, name) ? claims[name] : undefined)
  const subject = textOf(own('sub'))
  if (subject === undefined) return { kind: 'failed', failure: 'failed', reason: 'no sub' }
  const email = textOf(own('email'))
  const isVerified = own('email_verified') === true || own('email_verified') === 'true'
  if (email !== undefined) {
    if (emailKey(email) === undefined) return { kind: 'failed', failure: 'failed', reason: 'email is no address' }
    if (!isVerified && !config.trustsEmail) return { kind: 'failed', failure: 'unverified', reason: 'email_verified is not true' }
  }
  let room = MAX_KEPT - taken
  const fits = (text: string): boolean => (room -= text.length + 3) >= 0
  const keptGroups = textsOf(own(config.groupsClaim)).filter(group => config.keptGroups?.has(group) !== false)
  const groups = keptGroups.filter(fits)
  const keptClaims = config.keptClaims.map(name => [name, textsOf(own(name)).filter(fits)] as const)
  const person: Person = {
    provider: config.name,
    subject,
    email,
    name: textOf(own('name')) ?? textOf(own('preferred_username')),
    groups,
    claims: new Map(keptClaims.filter(([, values]) => values.length > 0)),
  }
  return { kind: 'person', person }
}
