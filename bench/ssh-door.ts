/**
 * The SSH door, with rules of a few lines in place of the service's: `node --import tsx bench/ssh-door.ts PORT LINK_PORT KEY_FILE MODULES`. Every
 * key is taken, and a forward of the name tN is that of the tunnel of this number. The door is a built one, of the folder MODULES
 * (built-modules.ts).
 */
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type * as PrivateKeys from '../src/identity/private-key.ts'
import type { Forward, SshAccess } from '../src/service/contract.ts'
import type * as Doors from '../src/ssh/door.ts'
import type * as Logs from '../src/telemetry/log.ts'

const [port = '', linkPort = '', keyFile = '', modules = ''] = process.argv.slice(2)
const built = (file: string): Promise<unknown> => import(pathToFileURL(join(modules, file)).href)
const { readPrivateKey } = (await built('private-key.js')) as typeof PrivateKeys
const { createSshDoor } = (await built('door.js')) as typeof Doors
const { createLog } = (await built('log.js')) as typeof Logs
const ACCOUNT = '00000000-0000-4000-8000-000000000000'

let logins = 0

const forwardOf = (name: string): Forward => {
  const id = `00000000-0000-4000-8000-${name.slice(1).padStart(12, '0')}`
  const tunnel = {
    id,
    socketId: id,
    relayPort: 0,
    server: '',
    isConnected: false,
    connectedFrom: null,
    lastConnectedAt: null,
    createdAt: 0,
  }
  return {
    isNew: false,
    login: ++logins,
    tunnel,
    socket: {
      id,
      accountId: ACCOUNT,
      name,
      type: 'http',
      dnsName: `${name}.bench`,
      customDomains: [],
      ports: [80, 443],
      password: null,
      visitors: null,
      balance: 'least',
      inspect: false,
      proxyProtocol: null,
      upstream: null,
      limits: { requestsPerSecond: 1e9, concurrency: 1e9, maxConnections: 1e9 },
      isEphemeral: false,
      state: 'active',
      tunnels: [tunnel],
      createdAt: 0,
      updatedAt: 0,
      etag: '1',
    },
  }
}

const access: SshAccess = {
  identify: async (_user, _key, address) => ({ accountId: ACCOUNT, role: 'user', scopes: undefined, kind: 'ssh', address }),
  forward: async (_actor, { bindAddress }) => forwardOf(bindAddress),
  hostKeys: async () => [generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string],
  authorities: async () => [],
}

const door = createSshDoor({
  access,
  linkTo: { url: `ws://127.0.0.1:${linkPort}`, privateKey: await readPrivateKey(keyFile) },
  listen: { host: '127.0.0.1', port: Number(port) },
  greeting: { welcome: 'Welcome!', host: '127.0.0.1' },
  limits: { unproven: 1_000, unprovenPerAddress: 1_000, connectionsPerAccount: 10_000 },
  log: createLog({ level: 'warn', format: 'json', destination: process.stdout }),
})
await door.start()
// Whoever measures memory wants what is held, not the garbage that is left in a young heap of 48 MiB.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
process.on('SIGUSR2', () => collect())
process.on('disconnect', () => process.exit())
