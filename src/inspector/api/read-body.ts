import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors.ts'
import { readJsonBody } from '../../http/body/read-body.ts'

/**
 * Refuses what a page of another origin has sent. A browser says by itself where a request comes from, and asks first before it sends one of
 * another origin as JSON; nobody here answers that.
 * @throws GatewayError FORBIDDEN
 */
export function refuseForeignPages({ headers }: IncomingMessage): void {
  const { origin, host } = headers
  const site = headers['sec-fetch-site']
  const isForeign = origin !== undefined && origin !== `http://${host ?? ''}` && origin !== `https://${host ?? ''}`
  if (isForeign || (site !== undefined && site !== 'same-origin' && site !== 'none'))
    throw new GatewayError('FORBIDDEN', 'pages of other origins may change nothing here')
}

/** Reads a body of JSON. @throws GatewayError INVALID, FORBIDDEN for another media type, BODY_TOO_LARGE */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()
  if (type !== 'application/json') throw new GatewayError('INVALID', 'send the body as Content-Type: application/json')
  const value = await readJsonBody(request, maxBytes)
  return value === undefined ? {} : value
}
