/** The SSH door before a real outer layer, with rules of a few lines in place of the service's: accounts, keys and sockets are made here. */
import { createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DirectorySocket } from '../../src/directory/directory.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { GatewayError } from '../../src/errors.ts'
import { registeredKey } from '../../src/index.ts'
import type { Forward, ForwardRequest, OfferedKey, SshAccess } from '../../src/service/contract.ts'
import type { Actor, Socket, Tunnel } from '../../src/service/model.ts'
import { createSshDoor, type SshDoor, type SshDoorOptions } from '../../src/ssh/door.ts'
import { hostKeyText } from '../../src/ssh/keys/host-key.ts'
import { wireString } from '../../src/ssh/keys/wire-reader.ts'
import { onCleanUp } from './cleanup.ts'
import { changeOf } from './directory.ts'
import { captureLog, startLayers, testKeyPair, type Layers, type LayersOptions, type LogRecord } from './layers.ts'
import { programPath } from './needs.ts'
import { freePort, ownPort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

/** A socket that exists from the start, with one tunnel. */
export interface ReadySocket {
  readonly socket: Socket
  readonly tunnel: Tunnel
}

/** What `startDoor` makes. */
export interface DoorOptions {
  readonly limits?: SshDoorOptions['limits']
  readonly layers?: LayersOptions
  /** Sockets of type http. Default 2. */
  readonly http?: number
  /** Sockets of type tcp. Default 1. */
  readonly tcp?: number
  readonly access?: Partial<SshAccess>
  /** Logins that its tunnels had before. */
  readonly logins?: number
}

/** The door, its outer layer, and the stand-in for the rules. */
export interface Door {
  readonly door: SshDoor
  readonly directory: LiveDirectory
  readonly layers: Layers
  /** Of type http, in the order in which a forward of port 80 gets them. */
  readonly http: readonly ReadySocket[]
  readonly tcp: readonly ReadySocket[]
  /** 32 hex digits: the user name of the only account. */
  readonly user: string
  /** What clients have asked to forward. */
  readonly asked: readonly ForwardRequest[]
  readonly offered: readonly OfferedKey[]
  readonly authorities: Buffer[]
  /** Tunnels, as the door says that they come and go. */
  readonly said: string[]
  readonly logs: readonly LogRecord[]
  /** Lets the account log in with a key: a line of authorized_keys. */
  authorize(line: string): void
}

const actorOf = (accountId: string, address: string): Actor => ({ accountId, role: 'user', scopes: undefined, kind: 'ssh', address })

const readySocket = (accountId: string, type: 'http' | 'tcp', number: number, port: number): ReadySocket => {
  const [socketId, tunnelId] = [randomUUID(), randomUUID()]
  const tunnel: Tunnel = {
    id: tunnelId,
    socketId,
    relayPort: 6_000 + number + (type === 'tcp' ? 500 : 0),
    server: '',
    isConnected: false,
    connectedFrom: null,
    lastConnectedAt: null,
    createdAt: 0,
  }
  const socket: Socket = {
    id: socketId,
    accountId,
    name: `my ${type} service ${number}`,
    type,
    dnsName: `${type}-${number}.edge.example.com`,
    customDomains: [],
    ports: type === 'http' ? [80, 443] : [port],
    password: null,
    visitors: null,
    balance: 'least',
    inspect: false,
    proxyProtocol: null,
    upstream: null,
    limits: { requestsPerSecond: 100_000, concurrency: 1_000, maxConnections: 1_000 },
    isEphemeral: true,
    state: 'active',
    tunnels: [tunnel],
    createdAt: 0,
    updatedAt: 0,
    etag: '1',
  }
  return { socket, tunnel }
}

/** A socket as the outer layer has to know it. */
const directoryOf = ({ socket, tunnel }: ReadySocket): DirectorySocket => ({
  id: socket.id,
  accountId: socket.accountId,
  type: socket.type,
  dnsName: socket.dnsName,
  customDomains: [],
  port: socket.type === 'http' ? null : socket.ports[0]!,
  tunnelIds: [tunnel.id],
  password: null,
  visitors: null,
  balance: 'least',
  limits: socket.limits,
})

/** Starts an outer layer without inner layers, and the door before it. */
export const startDoor = async (options: DoorOptions = {}): Promise<Door> => {
  const accountId = randomUUID()
  const http = Array.from({ length: options.http ?? 2 }, (_, number) => readySocket(accountId, 'http', number, 0))
  const tcp = await Promise.all(
    Array.from({ length: options.tcp ?? 1 }, async (_, number) => readySocket(accountId, 'tcp', number, await freePort())),
  )
  const directory = new LiveDirectory({
    zone: 'edge.example.com',
    ports: { from: 1, to: 65_535 },
    serviceKey: registeredKey((await testKeyPair()).certificatePem),
  })
  const layers = await startLayers({ targets: 'targets: {}', ...options.layers, inners: 0, outer: { directory, ...options.layers?.outer } })
  await directory.apply(changeOf({ sockets: [...http, ...tcp].map(directoryOf) }))

  const keys: Buffer[] = []
  const asked: ForwardRequest[] = []
  const offered: OfferedKey[] = []
  const authorities: Buffer[] = []
  const said: string[] = []
  const user = accountId.replaceAll('-', '')
  const unused = { http: [...http], tcp: [...tcp] }
  let logins = options.logins ?? 0
  const find = ({ bindAddress, bindPort, held }: ForwardRequest): ReadySocket | undefined => {
    const all = [...http, ...tcp]
    if (!['', 'localhost', '127.0.0.1', '::1'].includes(bindAddress))
      return all.find(({ socket }) => socket.dnsName.split('.')[0] === bindAddress)
    if (bindPort >= 1_024) return all.find(({ tunnel }) => tunnel.relayPort === bindPort)
    if (bindPort === 80 || bindPort === 443) return unused.http.find(({ tunnel }) => !held.includes(tunnel.id))
    return bindPort === 0 ? unused.tcp[0] : undefined
  }
  const access: SshAccess = {
    identify: async (_user, key, address) => {
      offered.push(key)
      if (key.certificateOf !== undefined) return key.certificateOf === user ? actorOf(accountId, address) : undefined
      return keys.some(known => known.equals(key.blob)) ? actorOf(accountId, address) : undefined
    },
    forward: async (_actor, request): Promise<Forward> => {
      asked.push(request)
      const ready = find(request)
      if (ready === undefined) throw new GatewayError('NOT_FOUND', 'there is no socket of this name')
      return { ...ready, isNew: false, login: ++logins }
    },
    hostKeys: async () => [generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string],
    authorities: async () => authorities,
    ...options.access,
  }
  const { log, records } = captureLog()
  const door = createSshDoor({
    access,
    tunnels: {
      connected: async (id, address) => void said.push(`${id} up from ${address}`),
      disconnected: async id => void said.push(`${id} down`),
    },
    linkTo: { url: `ws://127.0.0.1:${layers.outer.servicePort}`, privateKey: layers.privateKey },
    listen: { host: '127.0.0.1', port: await ownPort() },
    greeting: { welcome: 'Welcome to edge.example.com!', host: 'ssh.example.com' },
    log,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })
  await door.start()
  onCleanUp(() => door.close())
  return {
    door,
    directory,
    layers,
    http,
    tcp,
    user,
    asked,
    offered,
    authorities,
    said,
    logs: records,
    authorize: line => void keys.push(Buffer.from(line.split(' ')[1]!, 'base64')),
  }
}

/** A key pair made by ssh-keygen. */
export interface KeyFile {
  /** Of the private half. */
  readonly path: string
  /** The line of authorized_keys. */
  readonly line: string
}

/** A key pair for clients within this process. */
export interface MemoryKey {
  /** The private half, as ssh2 reads it. */
  readonly pem: string
  /** The line of authorized_keys. */
  readonly line: string
}

/** Makes a key pair without ssh-keygen. @param pair  Ed25519 (the default) or RSA */
export const keyInMemory = ({ privateKey }: { readonly privateKey: KeyObject } = generateKeyPairSync('ed25519')): MemoryKey => {
  const pem = hostKeyText(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
  const bytes = (text: string | undefined): Buffer => wireString(Buffer.from(text!, 'base64url'))
  const mpint = (text: string | undefined): Buffer => {
    const value = Buffer.from(text!, 'base64url')
    return wireString(value[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), value]) : value)
  }
  const isRsa = jwk.kty === 'RSA'
  const algorithm = isRsa ? 'ssh-rsa' : 'ssh-ed25519'
  const blob = Buffer.concat([wireString(algorithm), ...(isRsa ? [mpint(jwk.e), mpint(jwk.n)] : [bytes(jwk.x)])])
  return { pem, line: `${algorithm} ${blob.toString('base64')} in memory` }
}

/** Runs a program to its end. @throws Error with what it wrote when it fails */
export const run = async (program: string, args: readonly string[]): Promise<string> => {
  const child = startProcess(args, { program: programPath(program)! })
  const { code } = await child.exit
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}:\n${child.output}`)
  return child.stdout
}

/** Makes a key pair. @param type  as ssh-keygen has it: ed25519, ecdsa, rsa */
export const makeKey = async (type = 'ed25519', bits?: number): Promise<KeyFile> => {
  const path = join(tempDir(), 'key')
  await run('ssh-keygen', ['-q', '-t', type, ...(bits === undefined ? [] : ['-b', String(bits)]), '-N', '', '-f', path])
  return { path, line: readFileSync(`${path}.pub`, 'utf8').trim() }
}

/** Options of OpenSSH for a client that knows nothing but this key. */
export const sshOptions = (key: string, port: number): string[] => [
  '-F',
  '/dev/null',
  '-i',
  key,
  '-p',
  String(port),
  ...[
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'BatchMode=yes',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
  ].flatMap(option => ['-o', option]),
]

/** Starts `ssh`. @param args  before the host @param more  behind it */
export const startSsh = (
  { door, user }: Pick<Door, 'door' | 'user'>,
  key: KeyFile,
  args: readonly string[],
  more: readonly string[] = [],
): RunningProcess => {
  const child = startProcess([...args, ...sshOptions(key.path, door.port), `${user}@127.0.0.1`, ...more], { program: programPath('ssh')! })
  onCleanUp(() => void child.child.kill('SIGKILL'))
  return child
}
