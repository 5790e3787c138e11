import { acceptsHtml } from '../http/accept.ts'
import type { AcceptedRequest } from '../http/admission.ts'
import { fieldOf } from './fields.ts'

/**
 * Does a person go to a page with this request? Only then is a redirect understood: a program would follow it and take the page of the
 * login for its answer.
 */
export function isNavigation(request: AcceptedRequest): boolean {
  if (request.method !== 'GET' || request.upgrades !== undefined) return false
  // Fetched ahead, by nobody's wish yet.
  if (/prefetch|prerender/i.test(fieldOf(request, 'sec-purpose') ?? fieldOf(request, 'purpose') ?? '')) return false
  const mode = fieldOf(request, 'sec-fetch-mode')
  if (mode !== undefined) {
    const destination = fieldOf(request, 'sec-fetch-dest')
    // Providers do not let themselves be framed.
    return mode === 'navigate' && (destination === undefined || destination === 'document')
  }
  return acceptsHtml(fieldOf(request, 'accept')) && fieldOf(request, 'x-requested-with') === undefined
}
