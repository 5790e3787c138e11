/**
 * What ssh2 holds of a login that is over, and gives back: it keeps all of a key exchange, keys and secrets among it, for as long as the
 * connection, and small buffers that hold 8 KiB each together with their neighbours. What another release of ssh2 does not have is left alone.
 */
import type { Connection } from './ssh2.ts'
import { IDENT } from './ssh2.ts'

interface Exchange {
  readonly sessionID: Buffer
  readonly negotiated: unknown
  readonly _finished?: boolean
}

interface Holder {
  _protocol?: {
    _kex?: Exchange
    readonly _kexinit?: unknown
    _identRaw?: Buffer
    _remoteIdentRaw?: Buffer
    readonly _decipher?: { _tag?: Buffer }
  }
}

const IDENT_LINE = Buffer.from(`SSH-2.0-${IDENT}`)

/** Memory of its own for `bytes`, where they lie in a pool. */
const alone = (bytes: Buffer): Buffer => {
  if (bytes.buffer.byteLength === bytes.length) return bytes
  const copy = Buffer.alloc(bytes.length)
  bytes.copy(copy)
  return copy
}

/** Gives back what is left of a key exchange that is over; the id of the session is what a later one needs. */
export function forgetExchange(client: Connection): void {
  const protocol = (client as unknown as Holder)._protocol
  const exchange = protocol?._kex
  if (protocol === undefined || exchange?._finished !== true || protocol._kexinit !== undefined) return
  protocol._kex = { sessionID: alone(exchange.sessionID), negotiated: exchange.negotiated }
  const { _identRaw: own, _remoteIdentRaw: remote, _decipher: decipher } = protocol
  if (own?.equals(IDENT_LINE) === true) protocol._identRaw = IDENT_LINE
  if (remote !== undefined) protocol._remoteIdentRaw = alone(remote)
  if (decipher?._tag !== undefined) decipher._tag = alone(decipher._tag)
}

/** Does what makes small buffers that stay, without the pool that they would hold. */
export function withoutPool(action: () => void): void {
  const { poolSize } = Buffer
  Buffer.poolSize = 0
  try {
    action()
  } finally {
    Buffer.poolSize = poolSize
  }
}
