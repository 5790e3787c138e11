/** The path of the socket port where an inner layer that was invited hands in its certificate. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { asGatewayError, GatewayError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Invitations } from './invitations.ts'
import { JOIN_PATH } from './join-text.ts'

/** A certificate and a secret have a tenth of it. */
const MAX_BODY_BYTES = 16_384

/** Answers at that path, and at no other. */
export class JoinEndpoint {
  constructor(
    private readonly invitations: Pick<Invitations, 'join'>,
    private readonly log: Log,
  ) {}

  takes({ url }: IncomingMessage): boolean {
    return url === JOIN_PATH
  }

  /** A request that `takes` took. */
  answer(request: IncomingMessage, response: ServerResponse, { address }: { readonly address: string }): void {
    this.#join(request, address).then(
      joined => {
        this.log.info({ ...joined, address }, `inner layer "${joined.identifier}" has joined from ${address}, with key ${joined.kid}`)
        write(response, 200, joined)
      },
      (thrown: unknown) => {
        const error = asGatewayError(thrown)
        const { code } = error
        this.log[code === 'INTERNAL' || code === 'FILE_UNREADABLE' ? 'error' : 'warn'](
          { address, code },
          `nobody has joined: ${error.message}`,
        )
        const isOurs = error.facts.status === 0 || code === 'INTERNAL'
        write(response, isOurs ? 500 : error.facts.status, {
          code,
          message: isOurs ? 'the outer layer could not keep the key; its log says why' : error.facts.text,
        })
      },
    )
  }

  /** Nothing here switches protocols. */
  upgrade(_request: IncomingMessage, socket: Duplex): void {
    socket.on('error', () => socket.destroy())
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  }

  async #join(request: IncomingMessage, address: string): Promise<{ readonly identifier: string; readonly kid: string }> {
    // Browsers send Origin and have no business here.
    if (request.method !== 'POST' || request.headers.origin !== undefined) {
      request.resume()
      throw new GatewayError('METHOD_REFUSED')
    }
    const { secret, certificate } = parse(await bodyOf(request))
    if (typeof secret !== 'string' || typeof certificate !== 'string')
      throw new GatewayError('INVALID', 'a call without a secret or a certificate')
    const { identifier, kid } = await this.invitations.join(secret, certificate, address)
    return { identifier, kid }
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > MAX_BODY_BYTES) throw new GatewayError('BODY_TOO_LARGE')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

function parse(text: string): { readonly secret?: unknown; readonly certificate?: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function write(response: ServerResponse, status: number, value: object): void {
  if (response.destroyed) return
  const body = `${JSON.stringify(value)}\n`
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    Connection: 'close',
  })
  response.end(body)
}
