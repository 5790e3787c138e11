import { fieldOf } from '../fields.ts'
import type { PageCall } from '../page.ts'

/** Was a form sent by a page of ours? Browsers say with each form where it comes from. */
export function isOfOwnPage({ request, client }: Pick<PageCall, 'request' | 'client'>): boolean {
  const site = fieldOf(request, 'sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  return fieldOf(request, 'origin')?.toLowerCase() === `${client.scheme}://${client.host}`.toLowerCase()
}
