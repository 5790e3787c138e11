/** Payloads of the control frames. Fixed layouts are big-endian; HELLO, AUTH and READY are one JSON object in UTF-8, at most 8 KiB. */
import { GatewayError } from '../errors.ts'

/** Most bytes of a message before the proof of identity was accepted. */
export const MAX_HANDSHAKE_BYTES = 8_192
/** Protocol versions that this release speaks. */
export const VERSIONS = Object.freeze({ min: 1, max: 1 })
const MAX_TEXT_BYTES = 256

/** The limits of what one side takes from the other; announced in HELLO and AUTH, enforced by the announcer. */
export interface Limits {
  /** Streams open at a time in one session. */
  readonly streams: number
  /** Initial credit of each stream in each direction, bytes. */
  readonly windowBytes: number
}

/** Outer → inner, first message of a link. */
export interface Hello {
  readonly min: number
  readonly max: number
  readonly features: readonly string[]
  /** 32 random bytes, base64url, valid for this connection only. */
  readonly nonce: string
  readonly audience: string
  /** Clock of the outer layer, seconds since 1970, so that the clock of the inner layer does not matter. */
  readonly time: number
  /** Longest validity of a proof, milliseconds. */
  readonly validityMs: number
  readonly limits: Limits
}

/** Inner → outer, the answer to HELLO. */
export interface Auth {
  readonly version: number
  /** JWT signed with the private key of the inner layer. */
  readonly proof: string
  /** Program and release, for the log of the other side. */
  readonly agent: string
  /** Random text, the same in all connections of one process: they share a machine, and a fate. An older inner layer sends none. */
  readonly instance?: string
  /** From the service process alone, of a tunnel that it serves itself: its login among those of the tunnel. */
  readonly login?: number
  /** Additions to the protocol that it takes; an older inner layer sends none. */
  readonly features?: readonly string[]
  readonly limits: Limits
}

/** Outer → inner: the proof was accepted. */
export interface Ready {
  readonly session: string
  readonly identifier: string
  readonly agent: string
}

const fault = (what: string): GatewayError => new GatewayError('PROTOCOL', what)

/** At most 256 bytes of UTF-8, cut between two characters. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8')
  if (bytes.length <= MAX_TEXT_BYTES) return bytes
  let end = MAX_TEXT_BYTES
  while ((bytes[end]! & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}

// A text of the peer ends up in a log: control characters would let it forge lines.

const printable = (bytes: Buffer): string =>
  bytes
    .subarray(0, MAX_TEXT_BYTES)
    .toString('utf8')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')

/** RESET payload: code u32, reason (UTF-8, at most 256 bytes). */
export function encodeReset(code: number, reason: string): Buffer {
  const head = Buffer.allocUnsafe(4)
  head.writeUInt32BE(code)
  return Buffer.concat([head, text(reason)])
}

/** The inverse of `encodeReset`. */
export function decodeReset(payload: Buffer): { readonly code: number; readonly reason: string } {
  if (payload.length < 4) throw fault('a RESET without a code')
  return { code: payload.readUInt32BE(0), reason: printable(payload.subarray(4)) }
}

/** CREDIT payload: increment u32, 1 … 2^31 − 1. */
export function encodeCredit(bytes: number): Buffer {
  const payload = Buffer.allocUnsafe(4)
  payload.writeUInt32BE(bytes)
  return payload
}

/** The inverse of `encodeCredit`. */
export function decodeCredit(payload: Buffer): number {
  const bytes = payload.length === 4 ? payload.readUInt32BE(0) : 0
  if (bytes === 0 || bytes > 0x7fff_ffff) throw fault('a CREDIT frame without a valid increment')
  return bytes
}

/** GOAWAY payload: last accepted stream u32, code u32, text (UTF-8, at most 256 bytes). */
export function encodeGoAway(lastStream: number, code: number, reason: string): Buffer {
  const head = Buffer.allocUnsafe(8)
  head.writeUInt32BE(lastStream)
  head.writeUInt32BE(code, 4)
  return Buffer.concat([head, text(reason)])
}

/** The inverse of `encodeGoAway`. */
export function decodeGoAway(payload: Buffer): { readonly lastStream: number; readonly code: number; readonly reason: string } {
  if (payload.length < 8) throw fault('a GOAWAY frame that is too short')
  return { lastStream: payload.readUInt32BE(0), code: payload.readUInt32BE(4), reason: printable(payload.subarray(8)) }
}

/** PING and PONG: 8 bytes that mean something to the sender of the PING alone. */
export function decodePing(payload: Buffer): Buffer {
  if (payload.length !== 8) throw fault(`a PING or PONG of ${payload.length} bytes`)
  return payload
}

/** One handshake object as bytes. */
export const encodeObject = (value: Hello | Auth | Ready): Buffer => Buffer.from(JSON.stringify(value), 'utf8')

type Shape = Readonly<Record<string, 'string' | 'number' | 'strings' | 'limits'>>

function isOfKind(value: unknown, kind: Shape[string]): boolean {
  switch (kind) {
    case 'string':
      return typeof value === 'string' && value.length <= MAX_HANDSHAKE_BYTES
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) && value >= 0
    case 'strings':
      return Array.isArray(value) && value.every(item => typeof item === 'string')
    case 'limits':
      return isLimits(value)
  }
}

function isLimits(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { streams, windowBytes } = value as Record<string, unknown>
  return [streams, windowBytes].every(item => Number.isInteger(item) && (item as number) >= 1 && (item as number) <= 0x7fff_ffff)
}

function decodeObject<T>(name: string, payload: Buffer, shape: Shape): T {
  if (payload.length > MAX_HANDSHAKE_BYTES) throw fault(`${name} of ${payload.length} bytes`)
  let value: unknown
  try {
    value = JSON.parse(payload.toString('utf8'))
  } catch (cause) {
    throw new GatewayError('PROTOCOL', `${name} is not JSON`, { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fault(`${name} is not an object`)
  for (const [key, kind] of Object.entries(shape)) {
    if (!isOfKind((value as Record<string, unknown>)[key], kind)) throw fault(`${name} has no valid "${key}"`)
  }
  return value as T
}

/** HELLO from bytes; unknown members are ignored. @throws GatewayError PROTOCOL */
export const decodeHello = (payload: Buffer): Hello =>
  decodeObject('HELLO', payload, {
    min: 'number',
    max: 'number',
    features: 'strings',
    nonce: 'string',
    audience: 'string',
    time: 'number',
    validityMs: 'number',
    limits: 'limits',
  })

/** AUTH from bytes; unknown members are ignored. @throws GatewayError PROTOCOL */
export const decodeAuth = (payload: Buffer): Auth =>
  decodeObject('AUTH', payload, { version: 'number', proof: 'string', agent: 'string', limits: 'limits' })

/** READY from bytes; unknown members are ignored. @throws GatewayError PROTOCOL */
export const decodeReady = (payload: Buffer): Ready =>
  decodeObject('READY', payload, { session: 'string', identifier: 'string', agent: 'string' })
