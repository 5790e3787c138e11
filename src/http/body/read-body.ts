import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'

/** Reads a body whole. Of one that is too long the rest is read, so that the answer arrives, and not kept. @throws GatewayError BODY_TOO_LARGE, CANCELLED */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let length = 0
    request.on(
      'data',
      guarded(reject, (piece: Buffer) => {
        length += piece.length
        if (length <= maxBytes) return void pieces.push(piece)
        pieces.length = 0
        reject(new GatewayError('BODY_TOO_LARGE', `at most ${maxBytes} bytes`))
      }),
    )
    request.on(
      'end',
      guarded(reject, () => resolve(Buffer.concat(pieces))),
    )
    const leave = guarded(reject, () => reject(new GatewayError('CANCELLED', 'whoever sends the body has left')))
    request.on('error', leave)
    request.on('close', leave)
  })
}

/** Reads a body of JSON; undefined when it is empty. @throws GatewayError INVALID, BODY_TOO_LARGE, CANCELLED */
export async function readJsonBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const bytes = await readBody(request, maxBytes)
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new GatewayError('INVALID', 'the body is no JSON')
  }
}
