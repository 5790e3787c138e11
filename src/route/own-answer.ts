import type { Target } from './target.ts'

/**
 * Returns the answer of the gateway itself for a target that asks no origin, such as `410 (fixed)` or `308 https://b.example/`; undefined
 * where requests go to an origin. Origins of a split are targets of their own.
 */
export function ownAnswerOf({ hostname, treatment, routes, split }: Target): string | undefined {
  const answer = treatment?.answer
  if (answer?.kind === 'redirect') return `${answer.status} ${answer.to.text}`
  if (answer?.kind === 'respond') return `${answer.status} (fixed)`
  if (split !== undefined) return `${split.parts.length} origins (split)`
  return hostname === '' && routes !== undefined ? '404 (routes only)' : undefined
}
