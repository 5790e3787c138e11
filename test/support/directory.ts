/** Sockets and keys as the service process tells of them. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { thumbprintOf } from '../../src/identity/key.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import type { DirectoryChange, DirectoryKey, DirectorySocket } from '../../src/directory/directory.ts'

export const ZONE = 'edge.example.com'

/** A UUID with this number in it. */
export const idOf = (number: number, kind = 1): string =>
  `${kind.toString(16).padStart(8, '0')}-0000-4000-8000-${number.toString(16).padStart(12, '0')}`

/** The socket with this number: `s1.edge.example.com`, with one tunnel. */
export const socketOf = (number: number, more: Partial<DirectorySocket> = {}): DirectorySocket => ({
  id: idOf(number),
  accountId: idOf(number, 2),
  type: 'http',
  dnsName: `s${number}.${ZONE}`,
  customDomains: [],
  port: null,
  tunnelIds: [tunnelOf(number)],
  password: null,
  visitors: null,
  balance: 'least',
  limits: { requestsPerSecond: 100_000, concurrency: 10_000, maxConnections: 1_000 },
  ...more,
})

/** The id of the tunnel of that socket. */
export const tunnelOf = (number: number): string => idOf(number, 3)

let seq = 0

/** A change with these parts. */
export const changeOf = (parts: Partial<DirectoryChange>): DirectoryChange => ({
  type: 'change',
  seq: ++seq,
  removedSockets: [],
  removedKeys: [],
  sockets: [],
  keys: [],
  endedTunnels: [],
  ...parts,
})

const jwkOf = (key: KeyObject): Record<string, string> => key.export({ format: 'jwk' }) as Record<string, string>

/** A fresh key: as an inner layer has it, and as the directory does. */
export const grantedKey = (more: Partial<DirectoryKey>): { readonly privateKey: PrivateKey; readonly granted: DirectoryKey } => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = thumbprintOf(publicKey)
  return {
    privateKey: { key: privateKey, kid, algorithm: 'ES256' },
    granted: { kid, jwk: jwkOf(publicKey), tunnelId: null, identifiers: null, expiresAt: null, ...more },
  }
}
