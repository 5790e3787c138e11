import type { Target } from './target.ts'

/**
 * Returns the answer of the gateway itself for a target that asks no origin, such as `410 (fixed)` or `308 https://b.example/`; undefined
 * where requests go to an origin.
 */
export function ownAnswerOf({ hostname, treatment, routes }: Target): string | undefined {
  const answer = treatment?.answer
  if (answer?.kind === 'redirect') return `${answer.status} ${answer.to.text}`
  if (answer?.kind === 'respond') return `${answer.status} (fixed)`
  return hostname === '' && routes !== undefined ? '404 (routes only)' : undefined
}
