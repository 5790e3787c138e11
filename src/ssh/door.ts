import { createServer, type Server as TcpServer, type Socket as TcpSocket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { unmapped } from '../address/mapped.ts'
import { guarded } from '../net/guard.ts'
import { listen } from '../net/listen.ts'
import { GROWTH_BUDGET_BYTES } from '../mux/limits.ts'
import { LinkCounters } from '../mux/link-counters.ts'
import { GrowthBudget } from '../mux/receive-window.ts'
import { NameLookup } from '../origin/name-lookup.ts'
import type { SshAccess, Tunnels } from '../service/contract.ts'
import type { Log } from '../telemetry/log.ts'
import type { GreetingFacts } from './greeting.ts'
import { hostKeyText } from './keys/host-key.ts'
import { DEFAULT_SSH_LIMITS, type SshLimits } from './ssh-limits.ts'
import { ALGORITHMS, IDENT, loadSsh2, type Connection, type Server } from './ssh2.ts'
import { socketOf } from './ssh2-channels.ts'
import { withoutPool } from './ssh2-memory.ts'
import { Padding } from './ssh2-packets.ts'
import { SshConnection, type SshConnectionContext } from './ssh-connection.ts'
import { TunnelBook } from './tunnel-book.ts'
import type { LinkTo } from './tunnel-link.ts'
import { UnprovenConnections } from './unproven.ts'

/** Options of the door. */
export interface SshDoorOptions {
  readonly access: SshAccess
  /** Told of tunnels that come and go; absent: somebody else tells. */
  readonly tunnels?: Pick<Tunnels, 'connected' | 'disconnected'>
  /** PEM; those of `access` when absent. */
  readonly hostKeys?: readonly string[]
  readonly linkTo: LinkTo
  readonly listen: { readonly host?: string; readonly port: number }
  readonly greeting: GreetingFacts
  readonly log: Log
  readonly limits?: Partial<SshLimits>
}

/** The SSH door: people forward a port of theirs with what they have, and each forward is an inner layer to the outer layer. */
export class SshDoor {
  readonly #limits: SshLimits
  readonly #book = new TunnelBook()
  readonly #unproven: UnprovenConnections
  readonly #connections = new Set<SshConnection>()
  /** All that were accepted, those that have not said anything among them. */
  readonly #sockets = new Map<TcpSocket, { readonly address: string; readonly proven: () => void }>()
  readonly #perAccount = new Map<string, number>()
  readonly #context: SshConnectionContext
  #server: TcpServer | undefined
  #ssh: Server | undefined
  #port = 0
  #isClosing = false

  constructor(private readonly options: SshDoorOptions) {
    const { access, tunnels, linkTo, greeting, log } = options
    const clock = (): number => performance.now()
    this.#limits = { ...DEFAULT_SSH_LIMITS, ...options.limits }
    this.#unproven = new UnprovenConnections(this.#limits)
    // One for both directions: what windows of this process grow by beyond their first size.
    const budget = new GrowthBudget(GROWTH_BUDGET_BYTES)
    this.#context = {
      access,
      tunnels,
      links: {
        linkTo,
        budget,
        counters: new LinkCounters(),
        names: new NameLookup(clock),
        clock,
        log,
      },
      book: this.#book,
      greeting,
      limits: this.#limits,
      budget,
      padding: new Padding(),
      log,
      clock,
      enter: accountId => this.#enter(accountId),
    }
  }

  /** The port once started. */
  get port(): number {
    return this.#port
  }

  /** Connections, those that have not logged in among them. */
  get connectionCount(): number {
    return this.#sockets.size
  }

  /** Tunnels that are served. */
  get tunnelCount(): number {
    return this.#book.count
  }

  /** Opens the port. @throws GatewayError CONFIG_INVALID without ssh2, KEY_INVALID, LISTEN_FAILED */
  async start(): Promise<void> {
    const { access, hostKeys, listen: at, log } = this.options
    const { Server: SshServer } = await loadSsh2()
    const keys = (hostKeys ?? (await access.hostKeys())).map(hostKeyText)
    const { keepAliveMs: keepaliveInterval, keepAliveCount: keepaliveCountMax } = this.#limits
    const config = { hostKeys: keys, algorithms: ALGORITHMS, ident: IDENT, keepaliveInterval, keepaliveCountMax }
    this.#ssh = new SshServer(config as unknown as ConstructorParameters<typeof SshServer>[0])
    const onClient = (client: Connection, info: { readonly header?: { readonly versions?: { readonly software?: string } } }): void =>
      this.#begin(client, info.header?.versions?.software ?? '')
    this.#ssh.on(
      'connection',
      guarded(thrown => log.error({ err: thrown }, 'internal fault while an SSH connection began'), onClient as never),
    )
    this.#server = createServer({ noDelay: true, keepAlive: true, pauseOnConnect: true }, socket => this.#accept(socket))
    this.#port = await listen(this.#server, at.port, at.host, { doing: 'listen for SSH clients on' })
    log.info({ port: this.#port }, `SSH clients on port ${this.#port}`)
  }

  /** Ends what serves these tunnels, with a reason for their owners. */
  endTunnels(ids: Iterable<string>, reason: string): void {
    const ended = new Set(ids)
    for (const connection of [...this.#connections]) connection.endTunnels(ended, reason)
  }

  /** Takes no new connections, lets visitors finish up to `drainMs`, then ends. Idempotent. */
  async close(drainMs = 0): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    const closed = new Promise<void>(resolve => (this.#server === undefined ? resolve() : this.#server.close(() => resolve())))
    await Promise.all([...this.#connections].map(connection => connection.drain(drainMs)))
    this.destroy()
    await closed
  }

  /** Ends now. */
  destroy(): void {
    this.#isClosing = true
    this.#server?.close()
    for (const socket of [...this.#sockets.keys()]) socket.destroy()
  }

  #accept(socket: TcpSocket): void {
    const address = unmapped(socket.remoteAddress ?? '')
    const release = this.#isClosing || address === '' ? undefined : this.#unproven.take(address)
    if (release === undefined) return void socket.destroy()
    const fail = (thrown: unknown): void => {
      this.options.log.error({ err: thrown }, 'internal fault while an SSH connection began')
      socket.destroy()
    }
    let timer: NodeJS.Timeout | undefined = setTimeout(() => socket.destroy(), this.#limits.loginMs)
    const proven = (): void => {
      clearTimeout(timer)
      timer = undefined
      release()
    }
    this.#sockets.set(socket, { address, proven })
    socket.on('error', ignore)
    const closed = (): void => {
      proven()
      this.#sockets.delete(socket)
    }
    socket.once('close', guarded(fail, closed))
    guarded(fail, () => withoutPool(() => this.#ssh!.injectSocket(socket)))()
  }

  #begin(client: Connection, software: string): void {
    const socket = socketOf(client)
    const known = this.#sockets.get(socket)
    if (known === undefined) return void socket.destroy()
    let account: string | undefined
    try {
      const connection = new SshConnection(client, socket, known.address, software, this.#context, () => {
        known.proven()
        account = connection.accountId
      })
      this.#connections.add(connection)
      const closed = (): void => {
        this.#connections.delete(connection)
        if (account !== undefined) this.#leave(account)
      }
      socket.once(
        'close',
        guarded(thrown => this.options.log.error({ err: thrown }, 'internal fault while an SSH connection ended'), closed),
      )
    } catch (thrown) {
      // Without a listener of ours, an error of the client would end the process.
      client.on('error', () => undefined)
      socket.destroy()
      throw thrown
    }
  }

  #enter(accountId: string): boolean {
    const count = this.#perAccount.get(accountId) ?? 0
    if (count >= this.#limits.connectionsPerAccount || this.#connections.size > this.#limits.connections) return false
    this.#perAccount.set(accountId, count + 1)
    return true
  }

  #leave(accountId: string): void {
    const left = (this.#perAccount.get(accountId) ?? 1) - 1
    if (left === 0) this.#perAccount.delete(accountId)
    else this.#perAccount.set(accountId, left)
  }
}

const ignore = (): void => undefined

/** Makes the door; `start` opens its port. */
export const createSshDoor = (options: SshDoorOptions): SshDoor => new SshDoor(options)
