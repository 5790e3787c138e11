import { GatewayError, type ErrorCode } from '../../errors.ts'

/** A fault of one member of a request. */
export interface Detail {
  /** Such as `type` or `visitors.domains[0]`; empty: the request as a whole. */
  readonly path: string
  readonly message: string
}

/** A refusal whose message is meant for the client: it says what is wrong and what to do, and holds neither a secret nor an internal name. */
export class ServiceError extends GatewayError {
  readonly details: readonly Detail[]

  constructor(
    code: ErrorCode,
    message?: string,
    options: { readonly cause?: unknown; readonly fields?: readonly string[]; readonly details?: readonly Detail[] } = {},
  ) {
    super(code, message, options)
    this.name = 'ServiceError'
    this.details = options.details ?? []
  }
}

/** Returns the refusal of a request for the faults in it. */
export const invalid = (...details: readonly Detail[]): ServiceError =>
  new ServiceError('INVALID', details.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '), { details })

/** Refuses after too many attempts. @param waitMs  until the next one */
export const rateLimited = (waitMs: number): ServiceError => {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000))
  return new ServiceError('RATE_LIMITED', `Too many attempts; try again in ${seconds} s.`, { fields: ['Retry-After', String(seconds)] })
}
