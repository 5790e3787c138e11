import type { Target } from './target.ts'

/**
 * What the gateway answers for a target without asking any origin, such as `410 (fixed)` or `308 https://b.example/`; undefined where
 * requests go to an origin.
 */
export function ownAnswerOf({ hostname, treatment, routes }: Target): string | undefined {
  const answer = treatment?.answer
  if (answer?.kind === 'redirect') return `${answer.status} ${answer.to.text}`
  if (answer?.kind === 'respond') return `${answer.status} (fixed)`
  return hostname === '' && routes !== undefined ? '404 (routes only)' : undefined
}
