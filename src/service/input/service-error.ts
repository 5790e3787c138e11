import { GatewayError, type ErrorCode, type Fault } from '../../errors.ts'

/** A refusal whose message is meant for the client: it says what is wrong and what to do, and holds neither a secret nor an internal name. */
export class ServiceError extends GatewayError {
  constructor(code: ErrorCode, message?: string, options?: ConstructorParameters<typeof GatewayError>[2]) {
    super(code, message, options)
    this.name = 'ServiceError'
  }
}

/** Returns the refusal of a request for the faults in it. */
export const invalid = (...details: readonly Fault[]): ServiceError =>
  new ServiceError('INVALID', details.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '), { details })

/** Refuses what is too much in too short a time. @param waitMs  until the next one */
export const rateLimited = (waitMs: number, why = 'Too many attempts'): ServiceError => {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000))
  return new ServiceError('RATE_LIMITED', `${why}; try again in ${seconds} s.`, { fields: ['Retry-After', String(seconds)] })
}
