/** `balance`: which inner layer gets a request. */
import { z } from 'zod'
import type { Balance } from '../../route/target.ts'
import { listOf, reachesOrigin, targetKey } from './key.ts'
import { fieldName } from './parts.ts'

const BALANCE = 'expected "least", "round-robin", "sticky", "address", or a map with the key cookie or header'

const schema = {
  balance: z
    .union(
      [
        z.enum(['least', 'round-robin', 'sticky', 'address']),
        z.strictObject({ cookie: fieldName }, { error: BALANCE }),
        z.strictObject({ header: fieldName }, { error: BALANCE }),
      ],
      { error: BALANCE },
    )
    .optional()
    .meta({
      description:
        'Which inner layer gets a request: the one with the least outstanding bytes, each in turn, always the same for a client (by a cookie of ours), the same for an address (IPv6: a /64), or the same for the same value of a header.',
      default: 'least',
    }),
}

const TEXTS: { readonly [Kind in Balance['kind']]: string } = {
  least: 'the inner layer with the least outstanding bytes',
  'round-robin': 'each inner layer in turn',
  address: 'the same inner layer for the same address of a client',
  cookie: 'the inner layer that the cookie names',
  header: 'the same inner layer for the same value of',
}

/** FNV-1a: routes of one host share a cookie when they have the same inner layers, and only then. */
export const hashOf = (content: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < content.length; i++) hash = Math.imul(hash ^ content.charCodeAt(i), 0x01000193) >>> 0
  return hash.toString(36)
}

function balanceOf(balance: z.output<typeof schema.balance>, cookieOf: () => string): Balance | undefined {
  if (balance === undefined || balance === 'least') return undefined
  if (balance === 'round-robin' || balance === 'address') return { kind: balance }
  if (typeof balance === 'object' && 'header' in balance) return { kind: 'header', name: balance.header.toLowerCase() }
  return { kind: 'cookie', name: balance === 'sticky' ? cookieOf() : balance.cookie }
}

/**
 * Which inner layer is asked.
 * @returns its part from the source of `identifier` as well
 */
export const balanceKey = targetKey({
  schema,
  create: ({ balance, ...others }, { host }) => {
    const { identifier } = others as { readonly identifier?: string | readonly string[] }
    const created = balanceOf(balance, () => `sg-${hashOf([host, ...listOf(identifier)].join('\n'))}`)
    return { balance: created && Object.freeze(created) }
  },
  *effects(target) {
    const { balance } = target
    if (balance === undefined || !reachesOrigin(target)) return
    // Of a split, the same thing says which origin it is; these two say nothing about it.
    const both = target.split === undefined || balance.kind === 'least' || balance.kind === 'round-robin' ? '' : 'the same origin, and '
    yield ['balance', `${both}${TEXTS[balance.kind]}${'name' in balance ? ` ${balance.name}` : ''}`]
  },
})
