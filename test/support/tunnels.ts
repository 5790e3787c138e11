/** Layers with tunnels, and both kinds of clients of them. */
import { generateKeyPairSync } from 'node:crypto'
import { thumbprintOf } from '../../src/identity/key.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import { mintToken } from '../../src/identity/token.ts'
import type { ConnectionRecord } from '../../src/telemetry/connection-log.ts'
import { Forwarder, type ForwarderOptions } from '../../src/tunnel/forwarder.ts'
import { onCleanUp } from './cleanup.ts'
import { captureLog } from './layers.ts'
import { dialPlain, goHandshake, type PlainWebSocket } from './plain-web-socket.ts'

/** A token of this test file. */
export const token = mintToken()

export const mintKey = (): PrivateKey => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { key: privateKey, kid: thumbprintOf(publicKey), algorithm: 'ES256' }
}

/** A targets file with these tunnels: name → entry in YAML. */
export const tunnelsOf = (entries: Readonly<Record<string, string>>): string =>
  `targets: {"*": {protocol: http, hostname: 127.0.0.1, port: 9}}\ntunnels:\n${Object.entries(entries)
    .map(([name, entry]) => `  "${name}": ${entry}\n`)
    .join('')}`

export const bearer = (text: string): string => `Authorization: Bearer ${text}`
export const basic = (user: string, password: string): string =>
  `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

const asked: PlainWebSocket[] = []

/** Asks for a path as the real sokken client does, with more fields. */
export const ask = async (port: number, path: string, ...fields: string[]): Promise<PlainWebSocket> => {
  const peer = await dialPlain(port, path, goHandshake(path, `127.0.0.1:${port}`, fields))
  asked.push(peer)
  return peer
}

/** Closes everything that `ask` has opened. */
export const hangUp = (): void => {
  for (const peer of asked.splice(0)) peer.socket.destroy()
}

export interface Forwarding {
  readonly port: number
  readonly forwarder: Forwarder
  readonly records: readonly ConnectionRecord[]
}

/** A `forward` in this process, to these paths at a port of an outer layer. */
export const startForward = async (port: number, paths: readonly string[], more: Partial<ForwarderOptions> = {}): Promise<Forwarding> => {
  const records: ConnectionRecord[] = []
  const forwarder = new Forwarder(
    {
      forwards: paths.map(path => ({ listen: { host: '127.0.0.1', port: 0 }, url: new URL(`ws://127.0.0.1:${port}${path}`) })),
      maxConnections: 1_000,
      dial: { timeoutMs: 60_000, agent: 'test' },
      authorization: () => `Bearer ${token}`,
      drainTimeoutMs: 30_000,
      clock: () => performance.now(),
      record: record => records.push(record),
      ...more,
    },
    captureLog().log,
  )
  onCleanUp(() => forwarder.destroy())
  await forwarder.start()
  return { port: forwarder.places.listeners[0]!.port, forwarder, records }
}
