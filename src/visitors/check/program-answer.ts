import { ERRORS } from '../../errors.ts'
import { acceptsJson } from '../../http/accept.ts'
import type { VisitorAnswer, VisitorRequest } from '../../outer/access/visitor-check.ts'
import { fieldOf } from '../fields.ts'
import type { LaneOffer, Rejection } from '../lane.ts'

/**
 * The answer for a program that is not let in: never a redirect. What it could do stands in WWW-Authenticate and in the body.
 * @param offers  of the target's lanes
 * @param cors    fields by which a page of another site may read it
 */
export function programAnswer(
  { request }: Pick<VisitorRequest, 'request'>,
  { code, fields: more = [] }: Pick<Rejection, 'code' | 'fields'>,
  offers: readonly LaneOffer[],
  cors: readonly string[],
): VisitorAnswer {
  const { status, text } = ERRORS[code]
  const isJson = acceptsJson(fieldOf(request, 'accept'))
  const lanes = offers.map(({ lane, how, url }) => ({ lane, how, ...(url !== undefined && { url }) }))
  const body = isJson
    ? `${JSON.stringify({ type: 'about:blank', title: TITLES.get(status) ?? 'Error', status, code, detail: text, lanes })}\n`
    : [
        `${status} ${TITLES.get(status) ?? 'Error'}`,
        '',
        text,
        ...(lanes.length === 0 ? [] : ['', ...lanes.map(inWords)]),
        '',
        `code: ${code}`,
        '',
      ].join('\n')
  // RFC 9110 §11.6.1: a 401 has at least one challenge.
  const challenges = offers.flatMap(({ challenge }) => challenge ?? [])
  const authenticate = status === 401 ? (challenges.length === 0 ? ['SG-Login'] : [...new Set(challenges)]) : []
  return {
    status,
    fields: [
      ...['Content-Type', `${isJson ? 'application/problem+json' : 'text/plain'}; charset=utf-8`],
      ...['Content-Length', String(Buffer.byteLength(body)), 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff'],
      ...authenticate.flatMap(challenge => ['WWW-Authenticate', challenge]),
      ...more,
      ...cors,
    ],
    body,
  }
}

const TITLES: ReadonlyMap<number, string> = new Map([
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [429, 'Too Many Requests'],
  [503, 'Service Unavailable'],
])

const inWords = ({ lane, how, url }: { readonly lane: string; readonly how: string; readonly url?: string }): string =>
  `${lane}: ${how}${url === undefined ? '' : ` ${url}`}`
