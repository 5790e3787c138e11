/** Answers on the bare socket, to what node:http could not parse or hands over without a response object. */
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ErrorCode } from '../../errors.ts'
import { errorAnswer, type ErrorAnswer } from '../../http/errors/error-answer.ts'
import { endLingering } from '../../net/linger.ts'

/** Why node:http complains of a client: `code` is Node's, such as HPE_INVALID_METHOD. */
export type ClientError = Error & { readonly code?: string; readonly rawPacket?: Buffer }

/** First byte of a TLS connection: the type of its first record (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16

/** The client has left, in the middle of a request (HPE_INVALID_EOF_STATE) or between two: there is no client left to answer. */
const LOST = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'HPE_INVALID_EOF_STATE'])

export const isLost = ({ code = '' }: ClientError): boolean => LOST.has(code)

/** Did the client begin a TLS connection on a port without TLS? */
export const speaksTls = ({ rawPacket }: ClientError): boolean => rawPacket?.[0] === TLS_HANDSHAKE

/** The code of the catalogue for what node:http could not parse, or what did not come in time. */
export function codeOfClientError({ code }: ClientError): ErrorCode {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 'HEADERS_TOO_LARGE'
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'REQUEST_TIMEOUT'
    case 'HPE_INVALID_CONTENT_LENGTH':
    case 'HPE_UNEXPECTED_CONTENT_LENGTH':
    case 'HPE_INVALID_TRANSFER_ENCODING':
    case 'HPE_INVALID_CHUNK_SIZE':
      return 'BAD_FRAMING'
    default:
      return 'BAD_REQUEST'
  }
}

/** Writes the answer for `code` and ends the connection; gives what was answered. */
export function answerBare(socket: Duplex, code: ErrorCode, requestId: string, accept: string | undefined): ErrorAnswer {
  const answer = errorAnswer({ code }, requestId, accept)
  const { status, fields, body } = answer
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]!}: ${fields[i + 1]!}\r\n`
  socket.on('error', () => socket.destroy())
  socket.write(`${head}Date: ${new Date().toUTCString()}\r\nConnection: close\r\n\r\n${body}`)
  endLingering(socket)
  return answer
}
