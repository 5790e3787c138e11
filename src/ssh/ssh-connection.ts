import type { Socket as TcpSocket } from 'node:net'
import type { AuthContext, Session, TcpipBindInfo } from 'ssh2'
import { GatewayError, messageOf } from '../errors.ts'
import { guarded, type Fail } from '../net/guard.ts'
import { endLingering } from '../net/linger.ts'
import type { GrowthBudget } from '../mux/receive-window.ts'
import type { SshAccess, Tunnels } from '../service/contract.ts'
import type { Actor } from '../service/model.ts'
import type { Log } from '../telemetry/log.ts'
import { Authentication, type Proven } from './authentication.ts'
import { SshForward } from './forward.ts'
import { printable, socketLine, type GreetingFacts } from './greeting.ts'
import { Sessions } from './sessions.ts'
import type { SshLimits } from './ssh-limits.ts'
import { sendBanner, sendGoodbye, type Connection } from './ssh2.ts'
import type { Padding } from './ssh2-packets.ts'
import { missingFields, Ssh2Channels } from './ssh2-channels.ts'
import type { TunnelBook } from './tunnel-book.ts'
import type { SharedByLinks } from './tunnel-link.ts'

/** The context that all connections of one door share. */
export interface SshConnectionContext {
  readonly access: Pick<SshAccess, 'identify' | 'authorities' | 'forward'>
  /** Told of tunnels that come and go; absent: somebody else tells. */
  readonly tunnels: Pick<Tunnels, 'connected' | 'disconnected'> | undefined
  readonly links: SharedByLinks
  readonly book: TunnelBook
  readonly greeting: GreetingFacts
  readonly limits: SshLimits
  readonly budget: GrowthBudget
  readonly padding: Padding
  readonly log: Log
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Counts one more connection of an account, until it is gone; false: it has too many. */
  readonly enter: (accountId: string) => boolean
}

/** Clients that close a channel at its first end: those of MySocket, and whatever is made with Go's package. */
const KNOWS_NO_HALF_CLOSE = /^(?:Go|Mysocketctl)/
/** Bytes of answers that a client has not read, above which nothing more is read from it. */
const UNREAD_BYTES = 1_048_576
const MAX_WAITING_REQUESTS = 64
const STOPS = 'This server stops, perhaps to start again: connect once more in a moment.'
/** Between the end of a tunnel and the word about it, milliseconds. */
const FAREWELL_MS = 2_000

/** One SSH client, from its first line on: its login, its forwards, its sessions. */
export class SshConnection {
  readonly #channels: Ssh2Channels
  readonly #forwards: SshForward[] = []
  readonly #sessions: Sessions
  readonly #isGo: boolean
  #authentication: Authentication | undefined
  #proven: Proven | undefined
  /** Requests are done one after the other, as they are answered. */
  #turn: Promise<void> = Promise.resolve()
  #waiting = 0
  #isOver = false

  /**
   * @param software  of the client, as it says
   * @param onProven  told once, when it has logged in
   */
  constructor(
    private readonly client: Connection,
    private readonly socket: TcpSocket,
    private readonly address: string,
    software: string,
    private readonly context: SshConnectionContext,
    private readonly onProven: () => void,
  ) {
    const missing = missingFields(client)
    if (missing.length > 0) throw new GatewayError('CONFIG_INVALID', `ssh2 has no ${missing.join(', ')}; install ssh2@~1.17.0`)
    const { limits, clock, budget } = context
    this.#isGo = KNOWS_NO_HALF_CLOSE.test(software)
    this.#channels = new Ssh2Channels(client, socket, {
      ...{ window: { budget, clock }, holdsEof: this.#isGo, lingerMs: limits.lingerMs, padding: context.padding },
    })
    this.#sessions = new Sessions({
      greeting: context.greeting,
      socket,
      readMs: limits.readMs,
      forwardMs: limits.forwardMs,
      clock,
      sockets: () => this.#forwards.map(({ options }) => options.granted.socket),
      words: () => this.#proven?.words ?? '',
      answered: () => this.#turn,
      onLeave: () => this.end(),
      fail: this.#fail,
    })
    this.#authentication = new Authentication(
      { access: context.access, now: () => Date.now() / 1000, maxAttempts: limits.attempts },
      address,
      {
        onProven: proven => this.#enter(proven),
        onGivenUp: reason => {
          this.#debug(reason)
          this.#leave(`${reason}; name the one that is meant: ssh -i FILE -o IdentitiesOnly=yes`)
        },
        onWords: words => sendBanner(client, words),
        onRefused: (user, reason) => this.#debug(`login of ${user} refused: ${reason}`),
      },
    )
    const guard = <Args extends readonly unknown[]>(listener: (...args: Args) => void): ((...args: Args) => void) =>
      guarded(this.#fail, listener)
    client.on(
      'authentication',
      guard((attempt: AuthContext) => this.#authentication?.take(attempt)),
    )
    client.on(
      'session',
      guard((accept: () => Session, reject: () => void) => this.#sessions.open(accept, reject)),
    )
    client.on(
      'request',
      guard((accept: ((port?: number) => void) | undefined, reject: (() => void) | undefined, name: string, info: unknown) =>
        this.#request(name, info as TcpipBindInfo, accept ?? ignore, reject ?? ignore),
      ),
    )
    client.on(
      'error',
      guard((error: Error & { level?: string }) => this.#failed(error)),
    )
    client.on(
      'close',
      guard(() => this.#left()),
    )
    socket.on(
      'data',
      guard(() => this.#relieve()),
    )
    socket.on(
      'drain',
      guard(() => {
        if (!this.#isOver) socket.resume()
      }),
    )
  }

  /** The account, once it has logged in. */
  get accountId(): string | undefined {
    return this.#proven?.actor?.accountId
  }

  /** Tunnels that it holds. */
  get tunnelIds(): readonly string[] {
    return this.#forwards.map(forward => forward.tunnelId)
  }

  /** Says goodbye and ends. */
  end(): void {
    if (this.socket.destroyed) return
    this.client.end()
    endLingering(this.socket)
  }

  /** The same with words, which OpenSSH shows. */
  #leave(words: string): void {
    if (this.socket.destroyed) return
    sendGoodbye(this.client, words)
    endLingering(this.socket)
  }

  /** Ends now. */
  destroy(): void {
    this.socket.destroy()
  }

  /** Gives up what it holds of these tunnels, and says why; ends when nothing is left. */
  endTunnels(ids: ReadonlySet<string>, reason: string): void {
    const ended = this.#forwards.filter(({ tunnelId }) => ids.has(tunnelId))
    if (ended.length === 0) return
    for (const forward of ended) this.#drop(forward)
    const tell = (): void => {
      if (this.#isOver) return
      this.#sessions.say('', printable(reason))
      if (this.#forwards.length === 0) this.#sessions.leave(1)
    }
    // MySocket's client deletes its socket when it is asked to end, and would show this as its last, wondering words.
    setTimeout(guarded(this.#fail, tell), FAREWELL_MS).unref()
  }

  /** Says that this server stops, lets visitors finish, up to `timeoutMs`, then ends. */
  async drain(timeoutMs: number): Promise<void> {
    // Also to who only waits for its turn: its session stays open, and nothing would say why it ends.
    this.#sessions.say('', STOPS)
    await Promise.all(this.#forwards.map(forward => forward.drain(timeoutMs)))
    await this.#sessions.end(1)
    if (this.socket.destroyed) return
    // Whoever closes the socket at once takes the words with it.
    const closed = new Promise<void>(
      resolve =>
        void this.socket.once(
          'close',
          guarded(this.#fail, () => resolve()),
        ),
    )
    this.#leave(STOPS)
    await closed
  }

  // --- login ---

  #enter(proven: Proven): void {
    const { actor, user } = proven
    if (actor !== undefined && !this.context.enter(actor.accountId)) {
      this.#proven = { user, actor: undefined, words: 'This account has too many SSH connections; end some of them.' }
    } else this.#proven = proven
    this.onProven()
    // ssh2 asks nobody any more; what the login was made of can go.
    this.#authentication = undefined
    this.context.log.debug(
      { address: this.address, account: actor?.accountId },
      `SSH client ${this.address} has logged in as ${JSON.stringify(user.slice(0, 64))}`,
    )
  }

  // --- forwards ---

  #request(name: string, info: TcpipBindInfo, accept: (port?: number) => void, reject: () => void): void {
    if (name !== 'tcpip-forward' && name !== 'cancel-tcpip-forward') {
      this.#sessions.say('Sockets of the file system are not forwarded here; give a port.')
      return reject()
    }
    if (++this.#waiting > MAX_WAITING_REQUESTS) {
      this.#waiting--
      return reject()
    }
    this.#turn = this.#turn
      .then(() => (name === 'tcpip-forward' ? this.#open(info, accept) : this.#cancel(info, accept, reject)))
      .catch((thrown: unknown) => {
        if (this.#isOver) return
        this.#refuse(info, thrown)
        reject()
      })
      .catch(this.#fail)
      .finally(() => {
        this.#waiting--
        if (name === 'tcpip-forward' && !this.#isOver) this.#sessions.asked()
      })
  }

  /** @throws GatewayError FORBIDDEN, LIMIT_REACHED and whatever the rules say */
  async #open({ bindAddr, bindPort }: TcpipBindInfo, accept: (port?: number) => void): Promise<void> {
    const { access, book, limits, links, tunnels } = this.context
    const actor = this.#actor()
    if (this.#forwards.length >= limits.forwards)
      throw new GatewayError('LIMIT_REACHED', `one connection has at most ${limits.forwards} forwards; open another one`)
    const granted = await access.forward(actor, { bindAddress: bindAddr, bindPort, held: this.tunnelIds })
    if (this.#isOver) return
    const { socket, tunnel } = granted
    const boundPort = bindPort === 0 ? (socket.ports[0] ?? 0) : bindPort
    const forward: SshForward = new SshForward(links, {
      granted,
      boundAddress: bindAddr,
      boundPort,
      opener: {
        open: (origin, done) => this.#channels.open({ boundAddress: bindAddr, boundPort, ...origin }, done),
      },
      silentMs: this.#isGo ? limits.silentMs : undefined,
      onUp: () => void tunnels?.connected(tunnel.id, this.address).catch(this.#unheard),
      onResting: () => this.#sessions.say(`Another login serves ${printable(socket.name)} now; this one waits.`),
      onEvicted: () => this.#drop(forward),
      onRemoved: reason => this.endTunnels(new Set([tunnel.id]), reason),
      // The lines do not say whose they are.
      onLines: lines => this.#sessions.log(this.#forwards.length > 1 ? lines.map(line => `${printable(socket.name)}: ${line}`) : lines),
      onFailure: (code, reason) => this.#sessions.hint(code, reason),
    })
    this.#forwards.push(forward)
    await book.take(forward)
    if (this.#isOver) return this.#drop(forward)
    accept(boundPort)
    this.context.log.info(
      { address: this.address, tunnel: tunnel.id, socket: socket.id },
      `SSH client ${this.address} serves tunnel ${tunnel.id} of ${socket.dnsName}`,
    )
    this.#sessions.say(...(this.#sessions.hasGreeted ? [socketLine(this.context.greeting, socket)] : []))
  }

  #cancel({ bindAddr, bindPort }: TcpipBindInfo, accept: () => void, reject: () => void): void {
    const forward = this.#forwards.find(({ options }) => options.boundAddress === bindAddr && options.boundPort === bindPort)
    if (forward === undefined) return reject()
    this.#remove(forward)
    forward.rest()
    accept()
  }

  #actor(): Actor {
    if (this.#proven?.actor !== undefined) return this.#proven.actor
    throw new GatewayError('FORBIDDEN', this.#proven?.words)
  }

  #refuse({ bindAddr, bindPort }: TcpipBindInfo, thrown: unknown): void {
    const reason = thrown instanceof GatewayError ? thrown.message : 'something went wrong here; try again'
    const asked = `${bindAddr === '' ? '' : `${bindAddr.slice(0, 255)}:`}${bindPort}`
    if (!(thrown instanceof GatewayError)) this.context.log.error({ err: thrown }, 'internal fault while a forward was asked for')
    this.#debug(`no forward of ${printable(asked)}: ${reason}`)
    this.#sessions.say(`Port ${printable(asked)} is not forwarded: ${printable(reason)}`)
  }

  #drop(forward: SshForward): void {
    this.#remove(forward)
    forward.end()
  }

  #remove(forward: SshForward): void {
    const at = this.#forwards.indexOf(forward)
    if (at < 0) return
    this.#forwards.splice(at, 1)
    this.context.book.leave(forward)
    if (this.context.book.holdersOf(forward.tunnelId).length === 0)
      void this.context.tunnels?.disconnected(forward.tunnelId).catch(this.#unheard)
  }

  // --- the connection ---

  /** A client that asks and does not read the answers is not read from, either. */
  #relieve(): void {
    if (this.#channels.isFlooded) return void this.socket.destroy()
    if (this.socket.writableLength > UNREAD_BYTES) this.socket.pause()
  }

  #failed(error: Error & { readonly level?: string }): void {
    this.#debug(`SSH client ${this.address}: ${messageOf(error)}`)
    // ssh2 would end the half of a connection whose other half is dead, and wait.
    if (error.level === 'client-timeout') this.socket.destroy()
    else if (!this.socket.destroyed) endLingering(this.socket)
  }

  #left(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const forward of [...this.#forwards]) this.#drop(forward)
    this.#channels.close()
    this.#sessions.close()
  }

  /** A fault of ours ends this connection, and nothing else. */
  readonly #fail: Fail = thrown => {
    const isExpected = thrown instanceof GatewayError
    if (!isExpected) this.context.log.error({ err: thrown }, 'internal fault while handling an SSH connection')
    else this.#debug(thrown.message)
    this.socket.destroy()
  }

  readonly #unheard = (thrown: unknown): void => {
    this.#debug(`the service was not told of a tunnel: ${messageOf(thrown)}`)
  }

  #debug(text: string): void {
    this.context.log.debug({ address: this.address }, text)
  }
}

const ignore = (): void => undefined
