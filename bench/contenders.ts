/** The processes that are compared with each other, and the origins behind them. */
import { get } from 'node:http'
import { get as getSecurely } from 'node:https'
import { join } from 'node:path'
import { freePorts, ready, type Fleet, type Service } from './fleet.ts'
import { NODE_HOST, STATIC_HOST } from './hosts.ts'
import type { Target } from './load.ts'
import { startNginxOrigin, startNginxProxy } from './nginx.ts'

/** Where a contender takes requests, and whose CPU is its own. */
export interface Contender {
  /** As it stands in the tables: `direct`, `one-hop Node proxy`, `nginx`, `gateway`, or another one of a group of its own. */
  readonly name: string
  readonly staticPort: number
  readonly nodePort: number
  /** Empty for `direct`: the origin's own work is nobody's overhead. */
  readonly pids: readonly number[]
}

/** The two origins. */
export interface Origins {
  /** Files: nginx, or the Node origin where it is not installed. */
  readonly staticPort: number
  readonly nodePort: number
  readonly isNginx: boolean
}

/** An outer and an inner layer. */
export interface Gateway {
  readonly port: number
  readonly outer: Service
  readonly inner: Service
  stop(): void
}

/** A file of the static origin through this contender. */
export const staticTarget = ({ staticPort }: { readonly staticPort: number }, path: string): Target => ({
  port: staticPort,
  host: STATIC_HOST,
  path,
})

/** What only the Node origin offers, through this contender. */
export const nodeTarget = ({ nodePort }: { readonly nodePort: number }, path: string): Target => ({ port: nodePort, host: NODE_HOST, path })

/** The body of a successful answer. @throws Error for any other */
export const fetchText = ({ port, host, path }: Target, isTls = false): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, headers: { host }, agent: false as const, timeout: 2_000, rejectUnauthorized: false }
    const request = (isTls ? getSecurely : get)(options, response => {
      let text = ''
      response.setEncoding('latin1').on('data', (more: string) => (text += more))
      response.on('error', reject).on('end', () => {
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`status ${response.statusCode}: ${text}`))
      })
    })
    request.on('error', reject).on('timeout', () => request.destroy(new Error('timeout')))
  })

const answers =
  (target: Target, isTls = false) =>
  async (): Promise<boolean> =>
    (await fetchText(target, isTls)).length === 1024

/** Starts the origins; nginx when `isNginx`. */
export const startOrigins = async (fleet: Fleet, isNginx: boolean): Promise<Origins> => {
  const [nodePort = 0, nginxPort = 0] = await freePorts(2)
  const node = fleet.serveScript('origin.ts', nodePort)
  await ready(node, 'the Node origin', answers({ port: nodePort, host: NODE_HOST, path: '/1k' }))
  if (!isNginx) return { staticPort: nodePort, nodePort, isNginx }
  const nginx = startNginxOrigin(fleet, nginxPort)
  await ready(nginx, 'the nginx origin', answers({ port: nginxPort, host: STATIC_HOST, path: '/1k' }))
  return { staticPort: nginxPort, nodePort, isNginx }
}

/** The one-hop proxy and, where installed, nginx. */
export const startProxies = async (fleet: Fleet, origins: Origins): Promise<Contender[]> => {
  const [onePort = 0, nginxPort = 0] = await freePorts(2)
  const one = fleet.serveScript('one-hop.ts', onePort, origins.staticPort, origins.nodePort)
  await ready(one, 'the one-hop proxy', answers({ port: onePort, host: STATIC_HOST, path: '/1k' }))
  const proxies: Contender[] = [{ name: 'one-hop Node proxy', staticPort: onePort, nodePort: onePort, pids: [one.pid] }]
  if (!origins.isNginx) return proxies
  const nginx = startNginxProxy(fleet, { port: nginxPort, staticPort: origins.staticPort, nodePort: origins.nodePort })
  await ready(nginx, 'the nginx proxy', answers({ port: nginxPort, host: STATIC_HOST, path: '/1k' }))
  return [...proxies, { name: 'nginx', staticPort: nginxPort, nodePort: nginxPort, pids: [nginx.pid] }]
}

/** Starts a relay to `targetPort` with half of the round trip each way; resolves with its port. */
export const startRelay = async (
  fleet: Fleet,
  {
    targetPort,
    roundTripMs,
    bytesPerSecond,
  }: { readonly targetPort: number; readonly roundTripMs: number; readonly bytesPerSecond: number },
): Promise<{ readonly port: number; readonly service: Service }> => {
  const [port = 0] = await freePorts(1)
  return { port, service: fleet.serveScript('relay.ts', port, targetPort, roundTripMs / 2, bytesPerSecond) }
}

let keyPair: { readonly key: string; readonly certificate: string } | undefined

const mintKeyPair = async (fleet: Fleet): Promise<{ readonly key: string; readonly certificate: string }> => {
  const pair = { key: join(fleet.directory, 'innerLayer.key'), certificate: join(fleet.directory, 'innerLayer.crt') }
  await fleet.run([
    process.execPath,
    fleet.program(),
    'certificates',
    '--type',
    'ec',
    '--private-key',
    pair.key,
    '--certificate',
    pair.certificate,
  ])
  return pair
}

/** The key of inner layers, made once. */
export const keyPairOf = async (fleet: Fleet): Promise<{ readonly key: string; readonly certificate: string }> =>
  (keyPair ??= await mintKeyPair(fleet))

/** Options of an outer layer that listens on this machine alone. */
export const listenHere = (port: number, socketPort: number): readonly (string | number)[] => {
  const clients = ['--app-host', '127.0.0.1', '--app-port', port]
  return [...clients, '--socket-host', '127.0.0.1', '--socket-port', socketPort, '--admin-port', 0]
}

/** What a gateway is started with beyond what every one has. */
export interface GatewayOptions {
  /** Where a relay stands between the layers: it is started with the port of the outer layer and tells the inner layer's. */
  readonly link?: (socketPort: number) => Promise<number>
  /** Targets beside those of every gateway. */
  readonly targets?: Readonly<Record<string, object>>
  /** The section of TCP ports. */
  readonly tcp?: Readonly<Record<string, object>>
  /** Files for HTTPS at the port of clients. */
  readonly tls?: ServerPair
  /** Files for TLS between the layers. */
  readonly linkTls?: ServerPair
  /** More options of the outer layer. */
  readonly outer?: readonly string[]
  /** Options of Node.js for both layers. */
  readonly node?: readonly string[]
}

/** Starts both layers as their users do, each with its JSON log (the access log among it) in a file. */
export const startGateway = async (
  fleet: Fleet,
  origins: Origins,
  { link = async port => port, targets: others = {}, tcp = {}, tls, linkTls, outer: more = [], node = [] }: GatewayOptions = {},
): Promise<Gateway> => {
  const { key, certificate } = await keyPairOf(fleet)
  const target = (port: number): object => ({ protocol: 'http', hostname: '127.0.0.1', port })
  const targets = { '*': target(origins.staticPort), [NODE_HOST]: target(origins.nodePort), ...others }
  const [port = 0, socketPort = 0] = await freePorts(2)
  // A file of its own: every gateway follows the changes of its file.
  const targetsFile = fleet.file(`targets-${port}.yaml`, JSON.stringify({ targets, tcp }))
  const layer = (...args: readonly (string | number)[]): Service =>
    fleet.serve([process.execPath, ...node, fleet.program(), ...args.map(String), '--log-format', 'json'])
  const listen = [
    ...listenHere(port, socketPort),
    ...(tls === undefined ? [] : ['--tls-certificate', tls.certificate, '--tls-key', tls.key]),
    ...(linkTls === undefined ? [] : ['--socket-tls-certificate', linkTls.certificate, '--socket-tls-key', linkTls.key]),
  ]
  const outer = layer('outer-layer', '--public-key', certificate, '--targets', targetsFile, ...listen, ...more)
  const linkPort = await link(socketPort)
  const url =
    linkTls === undefined ? [`ws://127.0.0.1:${linkPort}`] : [`wss://localhost:${linkPort}`, '--outer-layer-ca', linkTls.certificate]
  const inner = layer('inner-layer', '--private-key', key, '--allow', '127.0.0.1:*', '--outer-layer', ...url)
  await ready(outer, 'the gateway', answers({ port, host: STATIC_HOST, path: '/1k' }, tls !== undefined))
  const stop = (): void => {
    outer.stop()
    inner.stop()
  }
  return { port, outer, inner, stop }
}

/** Files of a server's certificate and key. */
export interface ServerPair {
  readonly certificate: string
  readonly key: string
}

/** Mints a certificate for every name of the benchmark. */
export const mintServerPair = async (fleet: Fleet): Promise<ServerPair> => {
  const pair = { certificate: join(fleet.directory, 'server.crt'), key: join(fleet.directory, 'server.key') }
  const files = ['--certificate', pair.certificate, '--private-key', pair.key]
  await fleet.run([
    process.execPath,
    fleet.program(),
    'certificates',
    '--force',
    '--self-signed',
    `localhost,${STATIC_HOST},${NODE_HOST}`,
    ...files,
  ])
  return pair
}

/** Starts the one-hop proxy with TLS. */
export const startTlsProxy = async (
  fleet: Fleet,
  origins: Origins,
  tls: ServerPair,
): Promise<{ readonly port: number; readonly service: Service }> => {
  const [port = 0] = await freePorts(1)
  const service = fleet.serveScript('one-hop-tls.ts', port, origins.staticPort, tls.certificate, tls.key)
  await ready(service, 'the one-hop proxy with TLS', answers({ port, host: STATIC_HOST, path: '/1k' }, true))
  return { port, service }
}

/** The gateway as a contender. */
export const asContender = ({ port, outer, inner }: Gateway): Contender => ({
  name: 'gateway',
  staticPort: port,
  nodePort: port,
  pids: [outer.pid, inner.pid],
})
