/** Sockets and keys as the service process tells of them. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { connect } from 'node:net'
import { thumbprintOf } from '../../src/identity/key.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import type { DirectoryChange, DirectoryKey, DirectorySocket } from '../../src/directory/directory.ts'
import { LiveDirectory, type LiveDirectoryOptions } from '../../src/directory/live-directory.ts'
import type { InnerLayer, InnerLayerOptions } from '../../src/inner/inner-layer.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import type { Dialer } from '../../src/origin/dial.ts'
import { startLayers, type Layers, type LayersOptions } from './layers.ts'

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
  endedLogins: [],
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

/** A dialer of an inner layer that leads to one port of this machine, whatever is asked for. */
export const dialerTo = (port: number): Dialer => ({
  dial: (_hostname, _port, signal) =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.once('connect', () => resolve(socket))
      socket.once('error', reject)
      signal.addEventListener('abort', () => socket.destroy())
    }),
})

/** A tunnel that comes and goes. */
export interface TunnelEvents {
  readonly up: readonly (readonly [string, string])[]
  readonly down: readonly string[]
}

/** Layers with a directory, and no targets but those of `options`. */
export interface SocketLayers {
  readonly layers: Layers
  readonly directory: LiveDirectory
  readonly events: TunnelEvents
  /** Connects the tunnel of this number by a fresh key, to an origin of this machine. */
  connect(number: number, port: number, more?: Partial<InnerLayerOptions>): Promise<InnerLayer>
}

/** Starts an outer layer with a directory, and no inner layer. */
export const startSocketLayers = async (
  options: LayersOptions & { readonly directory?: Partial<LiveDirectoryOptions> } = {},
): Promise<SocketLayers> => {
  const [up, down]: [[string, string][], string[]] = [[], []]
  const directory = new LiveDirectory({
    zone: ZONE,
    ports: { from: 1, to: 65_535 },
    onTunnelUp: (id, address) => void up.push([id, address]),
    onTunnelDown: id => void down.push(id),
    ...options.directory,
  })
  const layers = await startLayers({ targets: 'targets: {}', ...options, inners: 0, outer: { directory, ...options.outer } })
  return {
    layers,
    directory,
    events: { up, down },
    connect: async (number, port, more = {}) => {
      const { privateKey, granted } = grantedKey({ tunnelId: tunnelOf(number) })
      await directory.apply(changeOf({ keys: [granted] }))
      const dialer = dialerTo(port)
      const allowList = new AllowList(['*.socket.invalid:*'])
      return layers.addInner({ privateKey, identifier: tunnelOf(number), allowList, dialer, tcpDialer: dialer, ...more })
    },
  }
}
