import { domainOf, emailKey, type LoginRule } from '../../route/access.ts'
import type { Person } from './session.ts'

/** Says why a rule does not let somebody in; undefined: it does. Whatever is not known of a person is not what is demanded. */
export function whyNot(rule: LoginRule, person: Person): string | undefined {
  const { provider, email, groups, claims } = person
  if (rule.providers !== undefined && !rule.providers.includes(provider)) return `logged in at ${provider}`
  if (rule.anyone) return undefined
  const hasDemand = rule.emails.size + rule.domains.size + rule.groups.size + rule.claims.size > 0
  if (!hasDemand) return 'the rule names nobody'
  if (rule.emails.size + rule.domains.size > 0) {
    const key = email === undefined ? undefined : emailKey(email)
    if (key === undefined || !(rule.emails.has(key) || rule.domains.has(domainOf(key)))) return 'neither address nor domain is among those'
  }
  if (rule.groups.size > 0 && !groups.some(group => rule.groups.has(group))) return 'in none of the groups'
  for (const [name, values] of rule.claims)
    if (claims.get(name)?.some(value => values.has(value)) !== true) return `the claim ${name} is not as demanded`
  return undefined
}
