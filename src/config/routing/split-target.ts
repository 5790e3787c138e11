/** A target or route with several origins, and how a client finds the one again that it had. */
import { Split } from '../../route/split.ts'
import type { Balance, Target } from '../../route/target.ts'
import { hashOf } from '../keys/balance.ts'

/** Its origins. */
export interface SplitSource {
  readonly parts: readonly Target[]
  /** One for each part. */
  readonly weights: readonly number[]
  /** The place of the split in the file: each has a cookie of its own. */
  readonly place: string
}

/** The key of each part goes by its origin, so that a client keeps its own when others come and go before it. */
function keysOf(parts: readonly Target[]): readonly string[] {
  const seen = new Map<string, number>()
  return parts.map(({ protocol, hostname, port, identifiers = [], treatment: { answer } = {} }) => {
    const key = hashOf(JSON.stringify([protocol, hostname, port, identifiers, answer?.status]))
    const before = seen.get(key) ?? 0
    seen.set(key, before + 1)
    return before === 0 ? key : `${key}-${before}`
  })
}

/** Puts the origins into their target, and has those that go by a cookie say in it which they are. */
export function splitTarget(target: Target, { parts, weights, place }: SplitSource): Target {
  const keys = keysOf(parts)
  const { balance } = target
  const shares = (partOf: (part: Target, key: string) => Target) =>
    parts.map((part, i) => ({ part: Object.freeze(partOf(part, keys[i]!)), weight: weights[i]!, key: keys[i]! }))
  if (balance?.kind !== 'cookie') return { ...target, split: new Split(shares(part => part)) }
  const own: Balance = { kind: 'cookie', name: `${balance.name}-${hashOf(place)}` }
  return {
    ...target,
    balance: Object.freeze(own),
    split: new Split(shares((part, key) => ({ ...part, balance: Object.freeze({ ...own, part: key }) }))),
  }
}
