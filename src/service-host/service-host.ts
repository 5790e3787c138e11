import type { DirectoryMessage } from '../directory/directory.ts'
import { messageOf } from '../errors.ts'
import type { Tell } from '../events/turning-states.ts'
import type { Peers } from '../peers/peers.ts'
import type { Log } from '../telemetry/log.ts'
import type { DirectoryCopy } from './directory-copy.ts'
import { DirectoryFile } from './directory-file.ts'
import { RecordedRequests, type RequestSource } from './recorded-requests.ts'
import { ServicePeers } from './service-peers.ts'
import { WatchedSockets } from './watched-sockets.ts'
import { AccountQuestions } from './account-questions.ts'
import type {
  AccountAnswer,
  AccountCredentials,
  ApplyFailure,
  CertificateAnswer,
  FromService,
  HolderRequest,
  OperatorAnswer,
  OperatorRequest,
  ServiceChild,
  ServiceLink,
  SocketLogin,
} from './ipc.ts'
import type { CertificatesAnswer, CertificatesRequest } from './kept-certificates.ts'
import { TIMING, type ServiceHostTiming } from './host-timing.ts'
import { StartWatch } from './start-watch.ts'
import { Watchdog } from './watchdog.ts'

const USAGE_MS = 10_000

/** Options of the host. */
export interface ServiceHostOptions {
  /** Starts the service process. */
  readonly fork: () => ServiceChild
  readonly directory: DirectoryCopy
  /** Tunnels that are up. */
  readonly tunnels: () => readonly { readonly id: string; readonly address: string }[]
  /** Keys of enrolled inner layers that are connected. */
  readonly keys: () => readonly { readonly id: string; readonly address: string }[]
  /** The service process does not answer any more: what waits for it is not to wait longer. */
  readonly onSilent: () => void
  /** Told of the process, and of its database. @param reason  why it is not well */
  readonly onTurn?: (state: 'service' | 'store', isWell: boolean, reason?: string) => void
  /** Told of what happens to accounts. */
  readonly onEvent?: Tell
  /** Requests of sockets that were recorded; absent: none are. */
  readonly requests?: RequestSource
  /** File of the last directory. */
  readonly stateFile: string
  readonly log: Log
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** The default suits everything but tests. */
  readonly timing?: ServiceHostTiming
}

/** Keeps the service process running beside the outer layer, and its directory in force, whether it runs or not. */
export class ServiceHost {
  readonly #file: DirectoryFile
  #child: ServiceChild | undefined
  readonly #timing: ServiceHostTiming
  readonly #watchdog: Watchdog
  readonly #startWatch: StartWatch
  #waitMs: number
  #timer: NodeJS.Timeout | undefined
  #patience: NodeJS.Timeout | undefined
  #isClosing = false
  #isAsked = false
  #isReady = false
  #isStoreHealthy = true
  #hasDirectory = false
  /** Of messages that are put in force one after the other. */
  #applying: Promise<void> = Promise.resolve()
  #onFirstStart: (() => void) | undefined
  readonly #watched: WatchedSockets
  readonly #requests: RecordedRequests
  #link: ServiceLink | undefined
  readonly #questions = new AccountQuestions()
  readonly #peers = new ServicePeers(message => this.#child?.send(message))
  #usageTimer: NodeJS.Timeout | undefined
  #failure: string | undefined

  constructor(private readonly options: ServiceHostOptions) {
    const { stateFile, directory, log } = options
    this.#timing = options.timing ?? TIMING
    this.#waitMs = this.#timing.firstWaitMs
    this.#watchdog = this.#createWatchdog()
    this.#watched = new WatchedSockets(directory, message => this.#child?.send(message))
    this.#requests = new RecordedRequests(options.requests)
    this.#startWatch = new StartWatch(this.#timing.start, {
      ask: () => this.#child?.send({ type: 'ping' }),
      onHung: why => this.#hung(why),
    })
    this.#file = new DirectoryFile({
      path: stateFile,
      snapshot: () => directory.snapshot(),
      onFault: message => log.warn({}, `the directory of the service cannot be kept for the next start: ${message}`),
    })
  }

  /** Why the service is not whole; undefined: it is. For `/readyz`, which stays 200. */
  get fault(): string | undefined {
    if (!this.#isReady) return this.#failure ?? 'the service process is starting'
    if (this.#watchdog.isSilent) return 'the service process does not answer'
    return this.#isStoreHealthy ? undefined : 'the database of the service cannot be reached'
  }

  /** The service process at the moment. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /**
   * Starts the service process; resolves when its directory is in force, or that of the last run, or when there is neither and it is tried
   * again.
   * @param asked  resolves when this process is asked to end: Ctrl-C in a terminal asks the service process as well, and a young one just ends
   */
  async start(asked?: Promise<unknown>): Promise<void> {
    void asked?.then(() => (this.#isAsked = true))
    const first = new Promise<void>(resolve => (this.#onFirstStart = resolve))
    this.#patience = setTimeout(() => void this.#takeFile(), this.#timing.patienceMs)
    this.#usageTimer = setInterval(() => this.#tellUsage(), USAGE_MS)
    this.#fork()
    await first
  }

  /** The outer layer takes links of the service process from now on. */
  link(link: ServiceLink): void {
    const isOther = this.#link !== undefined && this.#link.url !== link.url
    this.#link = link
    // A process has one place for as long as it lives.
    if (isOther) this.#child?.kill()
    else this.#child?.send({ type: 'link', link })
  }

  /** The service hears from now on what those of other outer layers tell, and they hear it. */
  join(peers: Pick<Peers, 'tell' | 'hear'>): void {
    this.#peers.join(peers)
  }

  /** Tells the service of tunnels. */
  tunnels(up: readonly { readonly id: string; readonly address: string }[], down: readonly string[]): void {
    this.#child?.send({ type: 'tunnels', up, down })
  }

  /** Tells the service of inner layers that were enrolled. */
  keys(up: readonly { readonly id: string; readonly address: string }[], down: readonly string[]): void {
    this.#child?.send({ type: 'keys', up, down })
  }

  /** Tells the service who has come in at a socket. A process that is away does not hear of it. */
  socketLogin(login: SocketLogin): void {
    this.#child?.send({ type: 'socket-login', login })
  }

  /** The way to the process; undefined: it is not ready. */
  get #ready(): ServiceChild['send'] | undefined {
    return this.#isReady ? this.#child?.send : undefined
  }

  /** Asks the service whose credentials they are. Never rejects. */
  readonly who = (credentials: AccountCredentials): Promise<AccountAnswer> => this.#questions.ask(credentials, this.#ready)

  /** Asks the service what an operator wants. Never rejects. */
  readonly operate = (request: OperatorRequest): Promise<OperatorAnswer> => this.#questions.operate(request, this.#ready)

  /** Asks the service for a certificate. Never rejects. */
  readonly certify = (request: HolderRequest): Promise<CertificateAnswer> => this.#questions.certify(request, this.#ready)

  /** Asks the service for a certificate of a host, or has it kept. Never rejects. */
  readonly certificates = (request: CertificatesRequest): Promise<CertificatesAnswer> => this.#questions.kept(request, this.#child?.send)

  /** Lets the service finish what is under way, then ends it. Idempotent. */
  async close(): Promise<void> {
    this.#isClosing = true
    clearTimeout(this.#timer)
    clearTimeout(this.#patience)
    clearInterval(this.#usageTimer)
    this.#watchdog.stop()
    this.#startWatch.stop()
    this.#unwatchAll()
    this.#tellUsage()
    this.#started()
    const child = this.#child
    if (child !== undefined) {
      const ended = new Promise<void>(resolve => child.onEnd(() => resolve()))
      const late = setTimeout(() => child.kill(), this.#timing.stopMs)
      child.send({ type: 'stop' })
      await ended
      clearTimeout(late)
    }
    await this.#applying
    await this.#file.close()
  }

  #started(): void {
    this.#onFirstStart?.()
    this.#onFirstStart = undefined
  }

  #fork(): void {
    const { fork, clock, log, tunnels, keys } = this.options
    const startedAt = clock()
    let child: ServiceChild
    try {
      child = fork()
    } catch (thrown) {
      return this.#again(`cannot be started: ${messageOf(thrown)}`)
    }
    this.#child = child
    child.onMessage(message => {
      // It says what it says in an event of the process; a fault of ours ends neither.
      try {
        if (this.#child === child) this.#onMessage(child, message)
      } catch (thrown) {
        log.error({ err: thrown }, 'internal fault while handling a message of the service process')
      }
    })
    child.onEnd(how => {
      if (this.#child !== child) return
      if (this.#isReady && clock() - startedAt >= this.#timing.wellAfterMs) this.#waitMs = this.#timing.firstWaitMs
      const wasReady = this.#isReady
      this.#child = undefined
      this.#isReady = false
      this.#watchdog.stop()
      this.#startWatch.stop()
      this.#unwatchAll()
      this.#questions.gone()
      if (this.#isClosing) return
      if (!this.#isAsked || wasReady) return this.#again(`ended (${how})`)
      this.#started()
      log.info(
        {},
        `the service process ended (${how}) before it was ready; it is not started again, since the outer layer was asked to end`,
      )
    })
    child.send({ type: 'tunnels', up: tunnels(), down: [] })
    child.send({ type: 'keys', up: keys(), down: [] })
    if (this.#link !== undefined) child.send({ type: 'link', link: this.#link })
    this.#startWatch.start()
  }

  /** It has not become ready, and does not look as if it would. */
  #hung(why: string): void {
    this.#failure = `the service process ${why}`
    this.options.log.error({ pid: this.pid }, `the service process ${why}; it is ended and started again`)
    this.#child?.kill()
  }

  #createWatchdog(): Watchdog {
    const { log, onSilent } = this.options
    return new Watchdog(this.#timing.watchdog, {
      ask: () => this.#child?.send({ type: 'ping' }),
      onSilent: silentMs => {
        log.error(
          { pid: this.pid, silentMs },
          `the service process has not answered for ${silentMs / 1000} s; what waits for it is refused`,
        )
        onSilent()
        this.#turn('service', false, 'does not answer')
      },
      onBack: () => {
        log.info({ pid: this.pid }, 'the service process answers again')
        this.#turn('service', true)
      },
      onHung: silentMs => {
        log.error(
          { pid: this.pid, silentMs },
          `the service process has not answered for ${silentMs / 1000} s; it is ended and started again`,
        )
        this.#child?.kill()
      },
    })
  }

  #again(what: string): void {
    const waitMs = this.#waitMs
    this.#waitMs = Math.min(waitMs * 2, this.#timing.longestWaitMs)
    this.#failure ??= `the service process ${what}`
    this.#turn('service', false, what)
    this.options.log.error(
      { waitMs },
      `the service process ${what}; sockets and tunnels that are known go on, the API and SSH are back when it is: next start in ${waitMs} ms`,
    )
    this.#timer = setTimeout(() => this.#fork(), waitMs)
  }

  #turn(state: 'service' | 'store', isWell: boolean, reason?: string): void {
    if (!this.#isClosing) this.options.onTurn?.(state, isWell, reason)
  }

  #onMessage(child: ServiceChild, message: FromService): void {
    const { log } = this.options
    this.#startWatch.heard()
    switch (message.type) {
      case 'ready': // and again when its link is back
        if (this.#isReady) return
        this.#isReady = true
        this.#failure = undefined
        this.#turn('service', true)
        this.#startWatch.stop()
        if (!this.#isClosing) this.#watchdog.start()
        return log.info({ pid: child.pid }, 'the service process is ready')
      case 'directory':
        return this.#queue(child, message.id, message.message)
      case 'log':
        return log[message.level]({ part: 'service', ...message.fields }, message.message)
      case 'watch':
        return message.isWatched ? this.#watched.begin(message.socketId) : this.#watched.end(message.socketId)
      case 'busy':
        this.#startWatch.busy(message.what)
        return log.info({ pid: child.pid }, `the service process ${message.what}, and is not there until that is done`)
      case 'who':
      case 'operated':
      case 'certified':
      case 'certificates':
        return this.#questions.answered(message)
      case 'requests':
        return void this.#requests.answer(child, message)
      case 'follow':
        return this.#requests.follow(child, message)
      case 'unfollow':
        return this.#requests.unfollow(message.id)
      case 'tell':
        return this.#peers.tell(message)
      case 'pong':
        return this.#watchdog.answered()
      case 'health':
        this.#isStoreHealthy = message.isHealthy
        return this.#turn('store', message.isHealthy)
      case 'event':
        return this.options.onEvent?.(message.name, message.note, message.happening)
      case 'failed':
        this.#failure = message.message
        return log.error({}, `the service process cannot start: ${message.message}`)
    }
  }

  #queue(child: ServiceChild, id: number, message: DirectoryMessage): void {
    clearTimeout(this.#patience)
    this.#applying = this.#applying.then(async () => {
      const failures = await this.#apply(message)
      child.send({ type: 'applied', id, failures })
    })
  }

  async #apply(message: unknown): Promise<readonly ApplyFailure[]> {
    try {
      const failures = await this.options.directory.apply(message)
      this.#hasDirectory = true
      this.#started()
      this.#file.changed()
      return failures
    } catch (thrown) {
      this.options.log.error({ err: thrown }, 'a message of the service process was not put in force')
      return []
    }
  }

  /** Tells the use of sockets; that of a time without the service stays in the books until it is back. */
  #tellUsage(): void {
    if (!this.#isReady) return
    const rows = this.options.directory.takeUsage()
    if (rows.length > 0) this.#child?.send({ type: 'usage', rows })
  }

  #unwatchAll(): void {
    this.#watched.endAll()
    this.#requests.unfollowAll()
  }

  async #takeFile(): Promise<void> {
    const content = await this.#file.read()
    if (content !== undefined && !this.#hasDirectory && !this.#isClosing) {
      try {
        await this.options.directory.apply(content)
        this.options.log.warn({}, 'the service is not there yet: sockets and tunnels are those of the last run')
      } catch (thrown) {
        this.options.log.error({ err: thrown }, `${this.options.stateFile} cannot be used`)
      }
    }
    this.#started()
  }
}
