import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'

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
  const bytes = await readBytes(request, maxBytes)
  if (bytes.length === 0) return {}
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new GatewayError('INVALID', 'the body is no JSON')
  }
}

function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let size = 0
    request.on(
      'data',
      guarded(reject, (piece: Buffer) => {
        size += piece.length
        if (size <= maxBytes) return void pieces.push(piece)
        pieces.length = 0
        request.resume()
        reject(new GatewayError('BODY_TOO_LARGE', `at most ${maxBytes} bytes`))
      }),
    )
    request.on(
      'end',
      guarded(reject, () => resolve(Buffer.concat(pieces))),
    )
    request.on(
      'error',
      guarded(reject, (error: Error) => reject(new GatewayError('CANCELLED', error.message))),
    )
  })
}
