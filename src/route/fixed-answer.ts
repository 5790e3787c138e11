/** Answers that need no origin: `respond`, `maintenance` and `redirect` of a target. */
import { expand, parseTemplate, type Template, type Variables } from '../http/template.ts'

/** An answer as it goes out, whatever was asked. */
export interface FixedAnswer {
  readonly kind: 'respond'
  readonly status: number
  /** Flat, with Content-Type and Content-Length. */
  readonly fields: readonly string[]
  readonly body: string
}

/** An answer that says where to go. */
export interface Redirect {
  readonly kind: 'redirect'
  readonly status: number
  readonly to: Template
}

/** Variables that the address of a redirect may have in it. */
export const REDIRECT_VARIABLES = ['scheme', 'host', 'hostname', 'path', 'query'] as const

/** As it stands in the targets file; `body` may have come from a file. */
export interface FixedAnswerSource {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
}

/** Precomputes the answer. Its content type is a guess from its text unless a header says it. */
export function createFixedAnswer({ status, headers = {}, body: given = '' }: FixedAnswerSource): FixedAnswer {
  const isBodyless = status === 204 || status === 304 // RFC 9110 §15.3.5, §15.4.5
  const body = isBodyless ? '' : given
  const fields = Object.entries(headers).flat()
  const has = (wanted: string): boolean => Object.keys(headers).some(name => name.toLowerCase() === wanted)
  if (body !== '' && !has('content-type')) fields.push('Content-Type', contentTypeOf(body))
  if (!isBodyless) fields.push('Content-Length', String(Buffer.byteLength(body)))
  return Object.freeze({ kind: 'respond', status, fields: Object.freeze(fields), body })
}

const contentTypeOf = (body: string): string => {
  if (/^\s*(?:<!doctype html|<html|<\?xml[^>]*>\s*<html)/i.test(body)) return 'text/html; charset=utf-8'
  if (/^\s*[{[]/.test(body) && isJson(body)) return 'application/json'
  return 'text/plain; charset=utf-8'
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** @throws GatewayError CONFIG_INVALID for a variable that does not exist */
export const createRedirect = (to: string, status: number): Redirect =>
  Object.freeze({ kind: 'redirect', status, to: parseTemplate(to, REDIRECT_VARIABLES) })

/** `[::1]` of `[::1]:8080`. */
const withoutPort = (host: string): string => host.replace(/:\d*$/, '')

/** The address that a redirect names for one request, with nothing in it that would end the field. */
export const locationOf = ({ to }: Redirect, variables: Variables): string =>
  // A byte beyond ASCII in a query stays that byte.
  expand(to, { ...variables, hostname: withoutPort(variables['host'] ?? '') }).replace(
    /[^\x21-\x7e]/g,
    character => `%${(character.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, '0')}`,
  )
