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
