import { GatewayError } from '../../errors.ts'

/** RATE_LIMITED, with the seconds that are left (RFC 9110 §10.2.3). */
export const rateLimited = (message: string, waitMs: number): GatewayError =>
  new GatewayError('RATE_LIMITED', message, { fields: ['Retry-After', String(Math.ceil(waitMs / 1_000))] })
