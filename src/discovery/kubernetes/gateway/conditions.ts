import { GatewayError, messageOf } from '../../../errors.ts'
import type { KubeObject } from '../objects.ts'
import type { Condition } from './objects.ts'

/** Longest message of a condition that API servers take is 32 KiB; nobody reads more than this. */
const MAX_MESSAGE = 1_000

/** Something that is asked for and not done, with the reason that the Gateway API has for it. */
export class NotDone extends GatewayError {
  /** @param reason  CamelCase, as a condition has it */
  constructor(
    readonly reason: string,
    message: string,
  ) {
    super('CONFIG_INVALID', message)
    this.name = 'NotDone'
  }
}

/** The value of a field that targets cannot express. */
export const unsupported = (message: string): NotDone => new NotDone('UnsupportedValue', message)

/** A thing that cannot be done counts as a value that is not supported, unless it says something better. */
export const reasonOf = (error: unknown): { readonly reason: string; readonly message: string } => ({
  reason: error instanceof NotDone ? error.reason : 'UnsupportedValue',
  message: messageOf(error),
})

/** A condition for this generation of an object: `reason` says why it is not so, or repeats its type. */
export function condition(
  { metadata: { generation = 0 } }: KubeObject,
  type: string,
  { isTrue = true, reason = type, message = '' }: { readonly isTrue?: boolean; readonly reason?: string; readonly message?: string } = {},
): Condition {
  return { type, status: isTrue ? 'True' : 'False', reason, message: message.slice(0, MAX_MESSAGE), observedGeneration: generation }
}

const sameAs = (a: Condition, b: Condition): boolean =>
  a.status === b.status && a.reason === b.reason && a.message === b.message && a.observedGeneration === b.observedGeneration

/** Puts the times in: that of before as long as the status is the same. Conditions of others stay. @param now  as RFC 3339 */
export function withTimes(wanted: readonly Condition[], present: readonly Condition[] | undefined, now: string): readonly Condition[] {
  const before = new Map((present ?? []).map(each => [each.type, each]))
  const own = wanted.map(each => {
    const old = before.get(each.type)
    before.delete(each.type)
    if (old !== undefined && sameAs(old, each)) return old
    return { ...each, lastTransitionTime: old?.status === each.status ? (old.lastTransitionTime ?? now) : now }
  })
  return [...own, ...before.values()]
}

/** @throws NotDone for a key that is not known: what is not understood is not left out */
export function onlyKnown(value: object, known: readonly string[], where: string): void {
  const other = Object.keys(value).find(key => !known.includes(key))
  if (other !== undefined) throw unsupported(`${where}.${other} is not supported`)
}
