import { addressKey } from '../../address/address-key.ts'
import type { OwnAnswer } from '../../outer/access/visitor-check.ts'
import type { PageCall } from '../page.ts'
import type { LoginContext } from './login-context.ts'

/** Counts a login or logout of an address: each asks a provider, or costs the proof of a signature. @returns the answer for one that has begun too many */
export function limitAttempt({ pages, attempts }: Pick<LoginContext, 'pages' | 'attempts'>, call: PageCall): OwnAnswer | undefined {
  const waitMs = attempts.take(addressKey(call.client.address))
  if (waitMs === 0) return undefined
  return {
    ...pages.refused(call, 'RATE_LIMITED', undefined, ['Retry-After', String(Math.ceil(waitMs / 1000))]),
    refusal: { code: 'RATE_LIMITED', reason: 'too many logins of this address' },
  }
}
