import type { Connection, Server } from 'ssh2'
import { GatewayError, messageOf } from '../errors.ts'

/** The part of the package ssh2 that the door uses. */
export interface Ssh2 {
  readonly Server: typeof Server
}

export type { Connection, Server }

/** The name of the door in its first line. */
export const IDENT = 'socket-gateway'

/**
 * Algorithms that are offered. Curve25519 under both of its names and ECDH, for Go's clients of 2021; no chacha20, which OpenSSH prefers and
 * which costs half as much again here; MACs over the ciphertext alone; no compression, whose dictionary would be memory that a client asks for.
 */
export const ALGORITHMS = Object.freeze({
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group14-sha256',
  ],
  serverHostKey: ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'rsa-sha2-512', 'rsa-sha2-256'],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
})

/** Loads ssh2, which is installed only where somebody wants the door. @throws GatewayError CONFIG_INVALID that names the package */
export async function loadSsh2(load: () => Promise<unknown> = () => import('ssh2')): Promise<Ssh2> {
  try {
    const loaded = (await load()) as Ssh2 & { readonly default?: Ssh2 }
    return loaded.default ?? loaded
  } catch (cause) {
    const text = `the SSH door needs the package ssh2, which cannot be loaded (${messageOf(cause)}); install it: npm install ssh2@~1.17.0`
    throw new GatewayError('CONFIG_INVALID', text, { cause })
  }
}

interface PrivateWriter {
  readonly allocStart: number
  readonly allocStartKEX: number
  alloc(bytes: number, isForced?: boolean): Buffer
  finalize(packet: Buffer, isForced?: boolean): Buffer
}

interface Sender {
  readonly _protocol?: {
    readonly _packetRW?: { readonly write?: PrivateWriter }
    readonly _cipher?: { encrypt(packet: Buffer): void }
    readonly _kexinit?: unknown
    _queue?: Buffer[] | undefined
  }
}

/** Messages (RFC 4253 §12, RFC 4252 §6) that ssh2 sends without words of ours, or not at all. */
const DISCONNECT = 1
const USERAUTH_BANNER = 53
const BY_APPLICATION = 11

const string = (text: string): Buffer => {
  const length = Buffer.byteLength(text)
  const bytes = Buffer.alloc(4 + length)
  bytes.writeUInt32BE(length)
  bytes.write(text, 4)
  return bytes
}

/** True where `sendBanner` and `sendGoodbye` find what they need of ssh2. */
export const canSend = (client: Connection): boolean => {
  const { _packetRW: packets, _cipher: cipher } = (client as unknown as Sender)._protocol ?? {}
  return typeof packets?.write?.alloc === 'function' && typeof cipher?.encrypt === 'function'
}

/** Shows words to whoever logs in, before the login has succeeded (RFC 4252 §5.4). */
export function sendBanner(client: Connection, words: string): void {
  const protocol = (client as unknown as Sender)._protocol!
  const payload = Buffer.concat([Buffer.of(USERAUTH_BANNER), string(`${words}\r\n`), string('')])
  const write = protocol._packetRW!.write!
  const packet = write.alloc(payload.length)
  packet.set(payload, write.allocStart)
  const done = write.finalize(packet)
  if (protocol._kexinit === undefined) protocol._cipher!.encrypt(done)
  else (protocol._queue ??= []).push(done)
}

/** Ends the conversation with words (RFC 4253 §11.1), which OpenSSH shows; the connection is the caller's to end. */
export function sendGoodbye(client: Connection, words: string): void {
  const protocol = (client as unknown as Sender)._protocol!
  const reason = Buffer.alloc(4)
  reason.writeUInt32BE(BY_APPLICATION)
  const payload = Buffer.concat([Buffer.of(DISCONNECT), reason, string(words), string('')])
  const write = protocol._packetRW!.write!
  // Also in the middle of a key exchange, as ssh2 does it.
  const packet = write.alloc(payload.length, true)
  packet.set(payload, write.allocStartKEX)
  protocol._cipher!.encrypt(write.finalize(packet, true))
}
