import { connect } from 'node:net'
import { GatewayError, type ErrorCode } from '../errors.ts'
import { decodeTcpHead, type TcpHead } from '../payload/tcp-head.ts'
import type { MuxStream, StreamHandler } from '../mux/stream.ts'
import { splice } from '../splice/splice.ts'
import { originFailure } from './origin-failure.ts'
import type { OriginPolicy } from './origin-policy.ts'

const CONNECT_MS = 10_000
/** Tells the outer layer that the origin is connected; whatever it is worth saying, a later release says here. */
const CONNECTED = Buffer.alloc(0)

/** The part of the inner layer that connections to origins use. */
export interface TcpOriginContext {
  readonly policy: OriginPolicy
  /** The connection has failed, here or by the word of the outer layer. */
  readonly onFailure: (head: TcpHead, code: ErrorCode, reason: string) => void
}

/**
 * Steps 9 to 12 of the path for a connection that is carried as it is: dials the origin, says so by an empty RESPONSE frame, and joins
 * both. Bytes of the client that come before the origin is connected wait in the socket, within the window of the stream.
 * @param payload  of the OPEN frame
 * @throws GatewayError PROTOCOL, ORIGIN_FORBIDDEN
 */
export function acceptTcp(payload: Buffer, stream: MuxStream, { policy, onFailure }: TcpOriginContext): StreamHandler {
  const head = decodeTcpHead(payload)
  try {
    policy.check(head)
  } catch (thrown) {
    const { code, message } = originFailure(thrown)
    onFailure(head, code, message)
    throw thrown
  }
  const { hostname: host, port } = head
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, lookup: policy.lookup(port) })
  const timer = setTimeout(
    () => socket.destroy(new GatewayError('ORIGIN_CONNECT_TIMEOUT', `no connection within ${CONNECT_MS / 1000} s`)),
    CONNECT_MS,
  )
  socket.once('connect', () => {
    clearTimeout(timer)
    stream.sendHead(CONNECTED)
  })
  return splice(stream, socket, {
    failure: error => (error === undefined ? new GatewayError('ORIGIN_CLOSED', 'the origin closed the connection') : originFailure(error)),
    // A reset of a socket that is still connecting would wait for the connection.
    cut: () => {
      if (socket.connecting) socket.destroy()
      else socket.resetAndDestroy()
    },
    onEnd: ({ code, reason }) => {
      clearTimeout(timer)
      if (code !== undefined) onFailure(head, code, reason)
    },
  })
}
