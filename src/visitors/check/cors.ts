/** Fetches by pages of other sites that a login names (`origins`): as the Fetch standard has it, https://fetch.spec.whatwg.org/#http-cors-protocol */
import type { AcceptedRequest } from '../../http/admission.ts'
import type { VisitorAnswer } from '../../outer/access/visitor-check.ts'
import type { Access } from '../../route/access.ts'
import { fieldOf } from '../fields.ts'

/** The fields by which a page of another site may read an answer of ours; none where its origin is not one of those that the login names. */
export function corsFields(request: AcceptedRequest, { login }: Pick<Access, 'login'>): readonly string[] {
  if (login === undefined || login.origins.size === 0) return NONE
  const origin = fieldOf(request, 'origin')
  if (origin === undefined || !login.origins.has(origin.toLowerCase())) return ['Vary', 'Origin']
  return ['Vary', 'Origin', 'Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true']
}

const NONE: readonly string[] = Object.freeze([])
/** Names of fields, with commas between them. */
const NAMES = /^[\w!#$%&'*+.^`|~, -]{1,1000}$/

/**
 * The answer to the question of a browser whether a page of another site may send something; undefined where it is no such question, or the
 * login does not name the site. Browsers ask it without cookies, so that no session could let it through; and no origin behind need answer it.
 */
export function preflightAnswer(request: AcceptedRequest, access: Pick<Access, 'login'>): VisitorAnswer | undefined {
  if (request.method !== 'OPTIONS') return undefined
  const method = fieldOf(request, 'access-control-request-method')
  const own = corsFields(request, access)
  if (method === undefined || !/^[A-Za-z-]{1,30}$/.test(method) || !own.includes('Access-Control-Allow-Origin')) return undefined
  const wanted = fieldOf(request, 'access-control-request-headers')
  const headers = wanted === undefined || !NAMES.test(wanted) ? [] : ['Access-Control-Allow-Headers', wanted]
  const fields = [...own, 'Access-Control-Allow-Methods', method, ...headers, 'Access-Control-Max-Age', '60', 'Cache-Control', 'no-store']
  return { status: 204, fields, body: '' }
}
