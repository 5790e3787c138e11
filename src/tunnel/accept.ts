import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketStream } from './web-socket-stream.ts'
import { HALF_CLOSE_SUBPROTOCOL, SUBPROTOCOL } from './wire.ts'

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Value of Sec-WebSocket-Accept for a key. */
export const acceptValue = (key: string): string =>
  createHash('sha1')
    .update(key + GUID)
    .digest('base64')

/** Why a request is no WebSocket handshake. */
export interface Violation {
  readonly status: 400 | 403 | 405 | 426
  readonly text: string
  /** Fields that belong to the answer, name and value in turn. */
  readonly fields: readonly string[]
}

const tokensOf = (value: string | undefined): readonly string[] =>
  (value ?? '')
    .split(',')
    .map(token => token.trim())
    .filter(token => token !== '')

const hasToken = (value: string | undefined, token: string): boolean => tokensOf(value).some(each => each.toLowerCase() === token)

const textOf = (value: string | string[] | undefined): string => (Array.isArray(value) ? value.join(', ') : (value ?? ''))

/** The key of RFC 6455 §4.1: 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/

/** Holds a request against RFC 6455 §4.2.1, in the words and with the statuses of sokken; undefined when it is a handshake. */
export function checkHandshake(request: IncomingMessage): Violation | undefined {
  const { headers, method = '' } = request
  const upgrade = ['Connection', 'Upgrade', 'Upgrade', 'websocket']
  const violation = (status: Violation['status'], text: string, fields: readonly string[] = []): Violation => ({
    status,
    text: `WebSocket protocol violation: ${text}`,
    fields,
  })
  if (request.httpVersion === '1.0') return violation(426, 'handshake request must be at least HTTP/1.1: "HTTP/1.0"')
  if (!hasToken(headers.connection, 'upgrade'))
    return violation(426, `Connection header ${JSON.stringify(headers.connection ?? '')} does not contain Upgrade`, upgrade)
  if (!hasToken(headers.upgrade, 'websocket'))
    return violation(426, `Upgrade header ${JSON.stringify(headers.upgrade ?? '')} does not contain websocket`, upgrade)
  if (method !== 'GET') return violation(405, `handshake request method is not GET but ${JSON.stringify(method)}`)
  const version = textOf(headers['sec-websocket-version'])
  if (version !== '13') {
    const text = `unsupported WebSocket protocol version (only 13 is supported): ${JSON.stringify(version)}`
    return { status: 400, text, fields: ['Sec-WebSocket-Version', '13'] }
  }
  const key = textOf(headers['sec-websocket-key'])
  if (key === '') return violation(400, 'missing Sec-WebSocket-Key')
  if (!KEY.test(key)) return violation(400, 'invalid Sec-WebSocket-Key')
  return checkOrigin(headers.origin, headers.host ?? '')
}

/** Browsers send Origin; a page of another site has no business here. */
function checkOrigin(origin: string | undefined, host: string): Violation | undefined {
  if (origin === undefined || origin === '') return undefined
  if (URL.canParse(origin) && authorityOf(origin) === host.toLowerCase()) return undefined
  return { status: 403, text: `request Origin ${JSON.stringify(origin)} is not authorized for Host ${JSON.stringify(host)}`, fields: [] }
}

// Not URL.host, which leaves out the usual port that the Host field may name.
const authorityOf = (origin: string): string | undefined => /^[a-z][a-z0-9+.-]*:\/\/([^/?#@]*)/i.exec(origin)?.[1]?.toLowerCase()

/** The offer of a handshake, as far as it is understood. */
export interface Offer {
  /** To be echoed as the client wrote it, undefined when the client offers nothing that is known. */
  readonly subprotocol: string | undefined
  readonly deflate: boolean
}

/** Reads what a handshake offers. @returns a Violation for parameters of permessage-deflate that sokken does not take */
export function readOffer(request: IncomingMessage): Offer | Violation {
  const offered = tokensOf(textOf(request.headers['sec-websocket-protocol']))
  const known = (name: string): string | undefined => offered.find(token => token.toLowerCase() === name)
  const subprotocol = offered.includes(HALF_CLOSE_SUBPROTOCOL) ? HALF_CLOSE_SUBPROTOCOL : known(SUBPROTOCOL)
  for (const extension of tokensOf(request.headers['sec-websocket-extensions'])) {
    const [name, ...parameters] = extension.split(';').map(part => part.trim())
    if (name?.toLowerCase() !== 'permessage-deflate') continue
    const stranger = parameters.find(
      parameter => !/^(?:client|server)_no_context_takeover$/.test(parameter) && !parameter.startsWith('client_max_window_bits'),
    )
    if (stranger !== undefined)
      return { status: 400, text: `unsupported permessage-deflate parameter: ${JSON.stringify(stranger)}`, fields: [] }
    return { subprotocol, deflate: true }
  }
  return { subprotocol, deflate: false }
}

/** The terms that both ends have agreed on. */
export interface Agreement {
  readonly subprotocol: string | undefined
  readonly deflate: boolean
  readonly pingMs?: number
}

/** Answers a handshake that `checkHandshake` found in order with 101, and speaks WebSocket from then on. */
export function acceptHandshake(request: IncomingMessage, socket: Duplex, head: Buffer, agreement: Agreement): WebSocketStream {
  const { subprotocol, deflate, pingMs } = agreement
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptValue(textOf(request.headers['sec-websocket-key']))}`,
    ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
    ...(deflate ? ['Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover'] : []),
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  return new WebSocketStream(socket, head, {
    role: 'server',
    halfClose: subprotocol === HALF_CLOSE_SUBPROTOCOL,
    deflate,
    ...(pingMs === undefined ? {} : { pingMs }),
  })
}
