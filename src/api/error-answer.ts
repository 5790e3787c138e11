/** The one shape of every refusal, in both dialects. */
import type { Request, Response } from 'express'
import type { z } from 'zod'
import { ERRORS, GatewayError, messageOf, type ErrorCode, type Fault } from '../errors.ts'
import { ServiceError } from '../service/input/service-error.ts'
import type { Log } from '../telemetry/log.ts'

/** Refusals with one text for whatever the reason is. */
const ONE_TEXT: ReadonlySet<ErrorCode> = new Set(['LOGIN_FAILED', 'STORE_UNAVAILABLE', 'INTERNAL'])

/** The sentence for the client: that of the catalogue, unless the one of the error was written for clients. */
const textOf = (error: GatewayError): string =>
  error instanceof ServiceError && !ONE_TEXT.has(error.code) ? error.message : ERRORS[error.code].text

/** Codes that an API has as an answer; anything else is a fault of ours. */
const ANSWERS: ReadonlySet<ErrorCode> = new Set([
  'INVALID',
  'LIMIT_REACHED',
  'FORBIDDEN',
  'SIGN_UP_CLOSED',
  'CONFLICT',
  'METHOD_REFUSED',
  'BODY_TOO_LARGE',
  'UNAUTHENTICATED',
  'LOGIN_FAILED',
  'NOT_FOUND',
  'RATE_LIMITED',
  'PORTS_EXHAUSTED',
  'STORE_UNAVAILABLE',
  'OVERLOADED',
  'DRAINING',
])

/** Seconds after which a call may be tried again, where the error itself does not say. */
const RETRY_AFTER_S: Partial<Record<ErrorCode, number>> = {
  RATE_LIMITED: 6,
  STORE_UNAVAILABLE: 5,
  PORTS_EXHAUSTED: 60,
  OVERLOADED: 1,
  DRAINING: 5,
}

/** Returns the error for a value that a schema does not take: every fault with its path. */
export function invalid(where: string, { issues }: z.ZodError): GatewayError {
  const details = issues.flatMap((issue): Fault[] => {
    if (issue.code !== 'unrecognized_keys') return [{ path: pathOf(issue.path), message: issue.message }]
    return issue.keys.map(key => ({ path: pathOf([...issue.path, key]), message: 'there is no such name here' }))
  })
  return invalidWith(where, details.slice(0, MAX_DETAILS))
}

/** A bound beyond which they are of no use to a reader. */
const MAX_DETAILS = 50

/** As the rules write it: `visitors.domains[0]`. */
const pathOf = (path: readonly PropertyKey[]): string =>
  path.map((name, i) => (typeof name === 'number' ? `[${name}]` : `${i === 0 ? '' : '.'}${String(name)}`)).join('')

/** Returns the error with these faults, which stand in the message too: it is all that the old client shows. */
export function invalidWith(where: string, details: readonly Fault[]): GatewayError {
  const said = details.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
  return new ServiceError('INVALID', `The ${where} is not valid: ${said}`, { details })
}

/** Returns an error as the API answers it: what body-parser and Express throw, too. */
export function asAnswer(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError)
    return ANSWERS.has(thrown.code) ? thrown : new GatewayError('INTERNAL', messageOf(thrown), { cause: thrown })
  const { type, status } = (thrown ?? {}) as { readonly type?: unknown; readonly status?: unknown }
  if (type === 'entity.too.large') return new ServiceError('BODY_TOO_LARGE', 'The body is larger than 64 KiB.', { cause: thrown })
  if (type === 'entity.parse.failed') return invalidWith('body', [{ path: '', message: 'it is no JSON' }])
  if (thrown instanceof URIError) return new GatewayError('NOT_FOUND', 'a parameter of the path cannot be decoded')
  if (typeof status === 'number' && status >= 400 && status < 500)
    return invalidWith('body', [{ path: '', message: 'expected JSON in UTF-8, as long as Content-Length says' }])
  return new GatewayError('INTERNAL', messageOf(thrown), { cause: thrown })
}

/** Answers with an error; what nobody expected is logged with the id that the client gets. */
export function answerError(error: GatewayError, req: Request, res: Response, log: Log): void {
  const { code, details } = error
  const requestId = String(res.getHeader('X-Request-Id') ?? '')
  const facts = {
    requestId,
    method: req.method,
    path: req.route === undefined ? '' : String((req.route as { path: unknown }).path),
    err: error,
  }
  if (code === 'INTERNAL') log.error(facts, 'a call of the API failed')
  else log.debug(facts, 'a call of the API was refused')
  if (res.headersSent) {
    res.destroy()
    return
  }
  for (let i = 0; i + 1 < error.fields.length; i += 2) res.setHeader(error.fields[i]!, error.fields[i + 1]!)
  const retryAfterS = RETRY_AFTER_S[code]
  if (retryAfterS !== undefined && !res.hasHeader('Retry-After')) res.setHeader('Retry-After', String(retryAfterS))
  if (code === 'UNAUTHENTICATED') res.setHeader('WWW-Authenticate', 'Bearer')
  if (code === 'BODY_TOO_LARGE') res.setHeader('Connection', 'close') // the rest of it is not read
  res.status(ERRORS[code].status).json({
    error: code,
    error_message: textOf(error),
    request_id: requestId,
    details: details.map(({ path, message: text }) => ({ path, message: text })),
  })
}
