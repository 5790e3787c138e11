/** A gateway of real processes with links that can be broken, origins that say what they saw, and a ledger of all that happened. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mintKeyPair, type MintedPair } from '../../src/identity/certificate.ts'
import { hashToken } from '../../src/identity/token.ts'
import { faultOfHttp2 } from '../../src/outer/http-edge/http2-support.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { mintServer, writePair } from '../support/certificates.ts'
import { exchange } from '../support/exchange.ts'
import { freePort } from '../support/ports.ts'
import type { ProcessOptions } from '../support/process.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { Client, type Doors } from './clients.ts'
import { Layer } from './layer.ts'
import { INNER_DRAIN_MS, MUTE_MS, OUTER_DRAIN_MS, TIMEOUT_MS, VALIDITY_MS } from './limits.ts'
import { judgeLine, readOuterLine } from './log-lines.ts'
import { openInWords } from './proc.ts'
import { Ledger, type Seen } from './ledger.ts'
import { startOrigins, type Origins } from './origins.ts'
import { KINDS, planOf, type Kind, type Plan } from './plan.ts'

/** An inner layer and the link that it dials through. */
export interface Inner {
  readonly layer: Layer
  readonly relay: Relay
}

/** Options of one more inner layer. */
export interface InnerOptions {
  readonly process?: ProcessOptions
  /** A program and its arguments before the command line of the inner layer, such as `prlimit`. */
  readonly before?: readonly string[]
  /** More arguments of the inner layer. */
  readonly args?: readonly string[]
  /** Nothing of it is to be seen on standard output. */
  readonly isSilent?: boolean
}

/** Kinds of requests that this Node.js can make without being in danger itself. */
export const KINDS_HERE: readonly Kind[] =
  faultOfHttp2(process.versions['nghttp2']!) === undefined ? KINDS : KINDS.filter(kind => kind !== 'http2')

const TOKEN = 'chaos-token-0123456789-0123456789-0123456789'
/** Names are looked up at servers that may not be there. */
const ENV = { RES_OPTIONS: 'timeout:1 attempts:1' }
/** Connections of an inner layer to an outer layer. */
const CONNECTIONS = 2
/**
 * More objects and buffers than this above those that a process held after its first requests, when nothing is under way, are kept by mistake. What may be
 * kept is bounded by docs/limits.md: addresses, ends of connections, buffers that go round, and code that was not needed before.
 */
const MOST_KEPT_MIB = 32

interface Made {
  readonly seed: number
  readonly prefix: string
  readonly ledger: Ledger
  readonly origins: Origins
  readonly originLink: Relay
  readonly doors: Doors
  readonly socketPort: number
  readonly folder: string
  readonly pair: MintedPair
  readonly ca: string
}

export class World {
  readonly outer: Layer
  readonly forward: Layer
  readonly inners: Inner[] = []
  readonly targetsFile: string
  #clients: Client[] = []
  #next = 0
  #isWorking = false
  #work: Promise<unknown> = Promise.resolve()
  #baseline = new Map<string, { readonly open: number; readonly mib: number }>()
  #adminPort = 0
  #moreTargets = ''

  readonly #onLine = (line: string, { name }: Layer): void => void judgeLine(this.ledger, name, line)

  private constructor(private readonly made: Made) {
    const { folder, doors, socketPort, origins } = made
    this.targetsFile = join(folder, 'targets.yaml')
    this.writeTargets()
    const at = (name: string): string => join(folder, name)
    const log = ['--log-format', 'json']
    const link = ['--socket-tls-certificate', at('link.crt'), '--socket-tls-key', at('link.key')]
    const ports = ['--app-port', String(doors.appPort), '--app-host', '127.0.0.1', '--socket-port', String(socketPort), '--admin-port', '0']
    const drain = ['--drain-timeout', String(OUTER_DRAIN_MS), '--drain-delay', '100', '--max-connections-per-address', '0']
    const times = ['--timeout', String(TIMEOUT_MS), '--validity', String(VALIDITY_MS), ...drain]
    const h2c = KINDS_HERE.includes('http2') ? ['--app-h2c'] : []
    this.outer = new Layer({
      name: 'the outer layer',
      args: () => [
        'outer-layer',
        '--public-key',
        at('inner.crt'),
        '--targets',
        this.targetsFile,
        ...ports,
        ...link,
        ...times,
        ...h2c,
        ...log,
      ],
      ready: /"adminPort":(\d+)/,
      onLine: (line, { name }) => readOuterLine(this.ledger, name, line),
    })
    this.forward = new Layer({
      name: 'forward',
      args: () => [
        ...['forward', '--token-file', at('token'), `127.0.0.1:${doors.tunnelPort}`],
        ...[`ws://127.0.0.1:${doors.appPort}/tunnel/127.0.0.1:${origins.tcp.port}`, '--max-connections', '1000', ...log],
      ],
      ready: /forwarding 127\.0\.0\.1/,
      onLine: this.#onLine,
    })
  }

  get ledger(): Ledger {
    return this.made.ledger
  }

  get origins(): Origins {
    return this.made.origins
  }

  get doors(): Doors {
    return this.made.doors
  }

  /** The key of all inner layers, and what the links of this world trust. */
  get identity(): { readonly pair: MintedPair; readonly ca: string } {
    return this.made
  }

  /** Between inner layers and the origin of HTTP. */
  get originLink(): Relay {
    return this.made.originLink
  }

  /** @param prefix  of ids, so that worlds beside each other cannot be taken for one another */
  static async create(seed: number, prefix: string): Promise<World> {
    const ledger = new Ledger()
    const origins = await startOrigins(ledger)
    const folder = tempDir()
    const pair = await mintKeyPair({ type: 'ec', commonName: 'inner-layer', validityYears: 1 })
    writeFileSync(join(folder, 'inner.key'), pair.privateKeyPem, { mode: 0o600 })
    writeFileSync(join(folder, 'inner.crt'), pair.certificatePem)
    writeFileSync(join(folder, 'token'), `${TOKEN}\n`, { mode: 0o600 })
    chmodSync(join(folder, 'token'), 0o600)
    const link = writePair(await mintServer(['localhost', '127.0.0.1']), 'link', folder)
    const originLink = await startRelay({ target: { host: '127.0.0.1', port: origins.http.port } })
    const doors = { appPort: await freePort(), tcpPort: await freePort(), tunnelPort: await freePort() }
    const socketPort = await freePort()
    const world = new World({ seed, prefix, ledger, origins, originLink, doors, socketPort, folder, pair, ca: link.pair.certificatePem })
    await world.startOuter()
    await world.addInner('inner-a')
    await world.addInner('inner-b')
    await world.forward.run()
    return world
  }

  /** Writes the targets file; `more` are lines of further targets, kept until others are given. */
  writeTargets(more = this.#moreTargets): void {
    this.#moreTargets = more
    const { webSocketPort, tcp } = this.origins
    writeFileSync(
      this.targetsFile,
      `targets:
  'a.test': { protocol: http, hostname: 127.0.0.1, port: ${this.originLink.port}, policy: { '^/c/.*': '*', '/well': ['GET'] } }
  'mute.test': { protocol: http, hostname: 127.0.0.1, port: ${this.originLink.port}, policy: { '^/c/.*': '*' }, timeouts: { head: '${MUTE_MS}ms' } }
  'ws.test': { protocol: http, hostname: 127.0.0.1, port: ${webSocketPort} }
  ${this.#moreTargets}
tcp:
  '${this.doors.tcpPort}': { hostname: 127.0.0.1, port: ${tcp.port} }
tunnels:
  '127.0.0.1:${tcp.port}': { tokens: ['${hashToken(TOKEN)}'], maxConnections: 1000 }
`,
    )
  }

  async startOuter(): Promise<void> {
    await this.outer.run()
    this.#adminPort = Number(this.outer.facts[1])
  }

  /** Another inner layer behind a relay of its own; resolves when its links are up. */
  async addInner(name: string, options: InnerOptions = {}): Promise<Inner> {
    const relay = await this.relayToSocketPort()
    const files = ['--private-key', join(this.made.folder, 'inner.key'), '--outer-layer-ca', join(this.made.folder, 'link.crt')]
    const args = ['inner-layer', ...files, '--outer-layer', `wss://localhost:${relay.port}`, '--identifier', name, '--admin-port', '0']
    const all = [
      ...args,
      '--allow',
      '127.0.0.1:*',
      '--log-format',
      'json',
      '--drain-timeout',
      String(INNER_DRAIN_MS),
      ...(options.args ?? []),
    ]
    const layer = new Layer({
      name,
      args: () => (options.before === undefined ? all : [...options.before.slice(1), ...all]),
      options: {
        ...options.process,
        env: { ...ENV, ...options.process?.env },
        ...(options.before === undefined ? {} : { program: options.before[0]! }),
      },
      ...(options.isSilent === true ? {} : { ready: /connected to/ }),
      onLine: this.#onLine,
      onKilled: () => this.ledger.killed(false),
    })
    const inner = { layer, relay }
    this.inners.push(inner)
    await layer.run()
    return inner
  }

  /** Where inner layers dial. */
  get socketPort(): number {
    return this.made.socketPort
  }

  /** Another way there, which is not among `inners`. @param from  addresses of this machine from which connections go on */
  relayToSocketPort(from?: () => string): Promise<Relay> {
    return startRelay({ target: { host: '127.0.0.1', port: this.made.socketPort }, ...(from === undefined ? {} : { from }) })
  }

  /**
   * Waits until the links of an inner layer are up, and no others of that name: as the outer layer and the relay see it. Twice, since what was cut may
   * not have been noticed yet when it is first looked at.
   */
  async linked({ layer: { name } }: Inner): Promise<void> {
    const same = this.inners.filter(({ layer }) => layer.name === name)
    let looks = 0
    const look = async (): Promise<boolean> => {
      const sessions = (await this.metrics()).get(`socket_gateway_link_sessions{peer="${name}"}`)
      const isUp = sessions === CONNECTIONS * same.length && same.every(({ relay }) => relay.connections === CONNECTIONS)
      looks = isUp ? looks + 1 : 0
      return looks >= 2
    }
    await until(look, { what: `the links of ${name}` })
  }

  /** Waits until every link is up. */
  async settled(): Promise<void> {
    for (const inner of this.inners) await this.linked(inner)
  }

  /** What the outer layer counts. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    return parseMetrics((await ask(this.#adminPort, '/metrics')).text)
  }

  /** Ends an inner layer for good. */
  async removeInner(inner: Inner, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.inners.splice(this.inners.indexOf(inner), 1)
    inner.relay.resume()
    await this.end(inner.layer, signal)
    await inner.relay.close()
  }

  /** Ends a process; of one that is killed, the ledger has to know. */
  async end(layer: Layer, signal: NodeJS.Signals): Promise<void> {
    const killed = (): void => {
      if (signal === 'SIGKILL') this.ledger.killed(layer === this.outer)
    }
    killed()
    await layer.stop(signal)
    killed()
  }

  /** The next request, changed as told, and written into the ledger as begun. */
  plan(parts: Partial<Plan> = {}): Plan {
    const plan = { ...planOf(this.made.seed, this.#next++, KINDS_HERE, this.made.prefix), ...parts }
    this.ledger.started(plan)
    return plan
  }

  /** One request by a client of its own, and what came of it. */
  async ask(parts: Partial<Plan>): Promise<Seen> {
    const client = new Client(this.doors)
    const plan = this.plan({ kind: 'http1', method: 'GET', mood: 'length', manner: 'reads', upload: 0, isForbidden: false, ...parts })
    const seen = await client.do(plan)
    this.ledger.ended(plan, seen)
    client.close()
    return seen
  }

  /** Starts `workers` clients that ask one thing after the other, until `rest`. */
  work(workers: number): void {
    this.#isWorking = true
    this.#clients = Array.from({ length: workers }, () => new Client(this.doors))
    this.#work = Promise.all(
      this.#clients.map(async client => {
        while (this.#isWorking) {
          const plan = this.plan()
          const seen = await client.do(plan)
          this.ledger.ended(plan, seen)
          // Whoever is refused at once would ask thousands of times a second.
          await new Promise(resolve => setTimeout(resolve, seen.status === 0 ? 50 : 5))
        }
      }),
    )
  }

  /** Waits for what is under way, and lets go of all connections. */
  async rest(): Promise<void> {
    this.#isWorking = false
    await this.#work
    for (const client of this.#clients.splice(0)) client.close()
  }

  /** Whatever was done: an ordinary request is served. @throws Error with what was answered instead, and with the status of the outer layer */
  async serves(): Promise<void> {
    let last = 'nothing'
    const isServed = async (): Promise<boolean> => {
      const { status, body } = await exchange(this.doors.appPort, {
        path: '/well',
        host: 'a.test',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      last = `${status} ${body.toString().slice(0, 300)}`
      return status === 200
    }
    await until(isServed, { what: 'an ordinary request to be served' }).catch(async (error: unknown) => {
      const status = await ask(this.#adminPort, '/status').catch((failure: unknown) => ({ text: String(failure) }))
      throw new Error(`an ordinary request gets ${last}; ${status.text.slice(0, 3_000)}`, { cause: error })
    })
  }

  /** Remembers what processes hold when nothing is under way. */
  async rememberBaseline(): Promise<void> {
    await this.settled()
    await this.quiet()
    const each = this.#layers.map(async layer => [keyOf(layer), { open: layer.open, mib: (await layer.heldMiB()) ?? 0 }] as const)
    this.#baseline = new Map(await Promise.all(each))
  }

  /** Waits until nothing is under way, as the layers themselves say. @throws Error with what is left */
  async quiet(): Promise<void> {
    let left: string[] = []
    const look = async (): Promise<boolean> => {
      this.origins.closeIdle()
      const metrics = await this.metrics()
      left = [...metrics].filter(([name, value]) => value !== 0 && UNDER_WAY.test(name)).map(([name, value]) => `${name} ${value}`)
      if (this.origins.openWebSockets + this.origins.tcp.sockets.length > 0) left.push('connections at origins')
      return left.length === 0
    }
    try {
      await until(look)
    } catch (error) {
      throw new Error(`left behind: ${left.join(', ')}`, { cause: error })
    }
  }

  /** Processes that ran all the time hold what they held before. */
  async holdsNoMore(): Promise<void> {
    await this.settled()
    await this.quiet()
    for (const layer of this.#layers) {
      const before = this.#baseline.get(keyOf(layer))
      if (before === undefined) continue
      const isLeft = await until(() => (this.origins.closeIdle(), layer.open <= before.open), { what: 'sockets' }).catch(() => false)
      if (!isLeft)
        this.ledger.fault(`${layer.name} holds ${layer.open} sockets and files, ${before.open} before: ${openInWords(layer.pid)}`)
      const mib = (await layer.heldMiB()) ?? 0
      if (mib > before.mib + MOST_KEPT_MIB) this.ledger.fault(`${layer.name} holds ${mib.toFixed(1)} MiB, ${before.mib.toFixed(1)} before`)
    }
  }

  /** Ends every process as an operator would; then all logs are read, and the ledger is closed. */
  async close(): Promise<void> {
    for (const layer of this.#layers) layer.signal('SIGCONT')
    for (const { relay } of this.inners) relay.resume()
    await Promise.all([this.forward, ...this.inners.map(({ layer }) => layer)].map(layer => layer.stop()))
    await this.outer.stop()
    for (const layer of [this.outer, this.forward, ...this.inners.map(inner => inner.layer)])
      layer.faults.forEach(f => this.ledger.fault(f))
    this.ledger.close()
  }

  get #layers(): Layer[] {
    return [this.outer, this.forward, ...this.inners.map(({ layer }) => layer)].filter(({ isRunning }) => isRunning)
  }
}

/** A process, and none that took its place. */
const keyOf = (layer: Layer): string => `${layer.name} ${layer.pid}`

/** Gauges that are zero when nothing is under way. */
const UNDER_WAY = /^socket_gateway_(?:requests_in_flight|link_streams|link_outstanding_bytes|connections_open|connections_unaccounted)\b/
