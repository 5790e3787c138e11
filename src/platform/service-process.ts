import { createPrivateKey, createPublicKey } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { availableParallelism } from 'node:os'
import { createApi } from '../api/api.ts'
import type { PortalOptions } from '../api/portal/portal.ts'
import { SERVICE_HOST, SERVICE_IDENTIFIER } from '../directory/layered-table.ts'
import { GatewayError, messageOf } from '../errors.ts'
import { thumbprintOf } from '../identity/key.ts'
import type { PrivateKey } from '../identity/private-key.ts'
import { createInnerLayer, type InnerLayer } from '../inner/inner-layer.ts'
import { createMailer, type Mailer } from '../mail/mailer.ts'
import { AllowList } from '../origin/allow-list.ts'
import { createService, type ServiceOptions } from '../service/rules/create-service.ts'
import type { ServiceConfig } from '../service/config.ts'
import type { DataPlane, Service } from '../service/contract.ts'
import type { ServiceLink } from '../service-host/ipc.ts'
import { SshDoor } from '../ssh/door.ts'
import { openStore, type Store, type StoreOptions } from '../store/store.ts'
import type { Log } from '../telemetry/log.ts'
import { HostChannel, type HostProcess } from './host-channel.ts'
import { dialerTo } from './in-process-server.ts'
import { VisitorFeed } from './log-feed.ts'
import { quietLog } from './quiet-log.ts'
import { shareAttempts, type AttemptsOfAll } from './shared-attempts.ts'
import { createTextRecords } from './text-records.ts'
import { answerCertificates } from './answer-certificates.ts'
import { answerOperator } from './answer-operator.ts'
import { answerCertify, answerWho } from './answer-who.ts'

const DRAIN_MS = 5_000
/** Milliseconds between two looks at whether the store is there. */
const HEALTH_MS = 1_000

/** Options of the service process. */
export interface ServiceProcessOptions {
  /** The configuration in force; asked each time, as its file is followed. */
  readonly config: () => ServiceConfig
  readonly store: Pick<StoreOptions, 'url' | 'directory' | 'password'>
  /** 32 bytes. */
  readonly secretsKey: Buffer
  /** Of the login at the mail server. */
  readonly mailPassword?: string | undefined
  /** The public side of the outer layer beside this process. */
  readonly facts: PublicFacts
  readonly host: HostProcess
  readonly log: Log
}

/** The way to the outer layer from outside, as far as the service has to say it. */
export interface PublicFacts {
  /** Port in URLs of http and https sockets and of the API; absent: the usual one. */
  readonly appPort?: number | undefined
  readonly appScheme: 'http' | 'https'
  /** ws: or wss: URLs of the socket port, where the configuration names none. */
  readonly linkUrls: readonly string[]
  /** Letters of the outbox are shown in the log: somebody sits before it, who has to follow the links in them. */
  readonly showsLetters: boolean
}

/** The composition root of the service process: store, rules, mail, API and SSH door, behind links to the outer layer. */
export class ServiceProcess {
  readonly #channel: HostChannel
  readonly #attempts: AttemptsOfAll
  #store: Store | undefined
  #mailer: Mailer | undefined
  #service: Service | undefined
  #feed: VisitorFeed | undefined
  #server: Server | undefined
  #inner: InnerLayer | undefined
  #door: SshDoor | undefined
  #healthTimer: NodeJS.Timeout | undefined
  #link: ServiceLink | undefined
  /** Those that came up before the rules were there to hear of it. */
  readonly #up = { tunnels: new Map<string, string>(), enrolment: new Map<string, string>() }
  readonly #notes = new Set<Promise<void>>()
  #opening: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #isFileFaulty = false
  #over: () => void = () => undefined
  /** Resolves when the host has asked for the end, or is gone, and everything is closed. */
  readonly ended: Promise<void>

  constructor(private readonly options: ServiceProcessOptions) {
    this.ended = new Promise(resolve => (this.#over = resolve))
    this.#channel = new HostChannel(
      options.host,
      {
        onLink: link => {
          this.#link = link
          void this.#serve()
        },
        onTunnels: (up, down) => this.#onComing('tunnels', up, down),
        onKeys: (up, down) => this.#onComing('enrolment', up, down),
        onUsage: rows => this.#note(this.#service?.usage.add(rows)),
        onVisitors: (socketId, lines) => this.#feed?.visitors(socketId, lines),
        onSocketLogin: login => this.#note(this.#service?.audit.socketLogin(login)),
        onWho: credentials => answerWho(this.#service, credentials),
        onOperate: request => answerOperator(this.#service, request),
        onCertify: request => answerCertify(this.#service, request),
        onCertificates: request => answerCertificates(this.#service, request),
        onTold: (topic, message) => this.#attempts.told(topic, message),
        onStop: () => void this.close(),
      },
      options.log,
    )
    this.#attempts = shareAttempts(
      (topic, message) => this.#channel.tell(topic, message),
      thrown => options.log.error({ err: thrown }, 'internal fault with what the service of another outer layer has told'),
    )
  }

  /** Opens the store and puts its directory in force. @throws GatewayError what keeps it from starting */
  async start(): Promise<void> {
    this.#opening = this.#open()
    try {
      await this.#opening
    } catch (thrown) {
      await this.close()
      throw thrown
    }
    await this.#serve()
  }

  /** The file of the configuration cannot be used as it is now, or can be again. Told at once, once for each fault. */
  fileTurned(fault: string | undefined): void {
    if (fault === undefined && !this.#isFileFaulty) return
    this.#isFileFaulty = fault !== undefined
    const fields = { what: 'service', ...(fault !== undefined && { reason: fault }) }
    const name = fault === undefined ? 'reload.well' : 'reload.refused'
    this.#channel.event(name, { subject: 'service', fields }, { atMs: Date.now(), count: 1 })
  }

  /** The configuration has changed. */
  reconfigured(): void {
    void this.#service?.reconfigured()
  }

  /** Lets what is under way finish, then ends. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #open(): Promise<void> {
    const { config, log, store: place, secretsKey, facts } = this.options
    const store = await openStore({
      ...place,
      mayBeAway: true,
      onAway: fault =>
        log.error({ err: fault }, 'the database of the service cannot be reached: what is in force goes on, changes are refused'),
      onBack: () => log.info({}, 'the database of the service is back'),
      onMigrating: ({ from, to }) => this.#channel.busy(`brings its database from version ${from} to ${to}`),
      onMigrated: ({ copy, ...result }) =>
        log.info({ ...result, ...(copy !== undefined && { copy }) }, 'the database of the service was brought up to date'),
    })
    this.#store = store
    const mailer = await this.#createMailer()
    this.#mailer = mailer
    const channel = this.#channel
    const options: ServiceOptions = {
      store,
      config,
      secretsKey,
      mail: mailer,
      dataPlane: {
        apply: change => {
          for (const id of change.removedSockets) this.#feed?.ended(id)
          return channel.apply(change)
        },
        requests: question => channel.requests(question),
        followRequests: (following, tell) => channel.followRequests(following, tell),
      } satisfies Required<DataPlane>,
      log,
      linkUrls: () => facts.linkUrls,
      textRecords: createTextRecords(),
      onEvent: channel.event,
      cores: availableParallelism(),
      sharedAttempts: this.#attempts.attempts,
      apiUrl: `${facts.appScheme}://${config().hosts.api}${portText(facts)}`,
    }
    const service = await createService(options)
    this.#service = service
    this.#feed = new VisitorFeed({ service, config, watch: (socketId, isWatched) => channel.watch(socketId, isWatched) })
    await service.start()
    for (const kind of ['tunnels', 'enrolment'] as const) {
      for (const [id, address] of this.#up[kind]) this.#note(service[kind].connected(id, address))
      this.#up[kind].clear()
    }
    let isInForce = await this.#putInForce(service)
    let wasHealthy: boolean | undefined
    const look = (): void => {
      const isHealthy = service.isHealthy()
      if (isHealthy !== wasHealthy) channel.health(isHealthy)
      wasHealthy = isHealthy
      // Begun without the database: until it is there, the sockets of the last run are in force.
      if (isInForce || !isHealthy) return
      isInForce = true
      this.#note(this.#putInForce(service).then(is => void (isInForce = is)))
    }
    look()
    this.#healthTimer = setInterval(look, HEALTH_MS)
  }

  /** Puts all that the store has in force. @returns false where the database is away */
  async #putInForce(service: Service): Promise<boolean> {
    try {
      for (const { socketId, message } of await this.#channel.replace(await service.snapshot()))
        this.options.log.warn({ socketId }, `a socket is not in force: ${message}`)
      return true
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.code === 'STORE_UNAVAILABLE') return false
      throw thrown
    }
  }

  /** Writes down what has happened at the outer layer; the store stays open for it. */
  #note(writing: Promise<void> | undefined): void {
    if (writing === undefined) return
    const noted = writing
      .catch((err: unknown) => this.options.log.warn({ err }, 'what has happened at the outer layer could not be noted'))
      .finally(() => this.#notes.delete(noted))
    this.#notes.add(noted)
  }

  /** Tells the rules who has come and gone; what comes before they are there waits for them. */
  #onComing(
    kind: 'tunnels' | 'enrolment',
    up: readonly { readonly id: string; readonly address: string }[],
    down: readonly string[],
  ): void {
    const rules = this.#service?.[kind]
    for (const { id, address } of up) {
      if (rules === undefined) this.#up[kind].set(id, address)
      else this.#note(rules.connected(id, address))
    }
    for (const id of down) {
      if (rules === undefined) this.#up[kind].delete(id)
      else this.#note(rules.disconnected(id))
    }
  }

  async #createMailer(): Promise<Mailer> {
    const { config, mailPassword, log, facts } = this.options
    const { mail, stateDirectory } = config()
    return createMailer({
      place: mail,
      directory: stateDirectory,
      ...(mailPassword !== undefined && { password: mailPassword }),
      // Links in letters are secrets: they reach the log only where it is the terminal of the operator, who is to use them.
      onLetter: ({ to, subject, text }) => log.info({ to }, `letter in the outbox: ${subject}${facts.showsLetters ? `\n${text}` : ''}`),
      onLost: why => log.error({}, `a letter is given up: ${why}`),
      onAway: why => log.warn({}, `letters wait, the mail server does not take them: ${why}`),
      onBack: () => log.info({}, 'the mail server takes letters again'),
    })
  }

  /** Opens the API and the door, once both the rules and the way to the outer layer are there. */
  async #serve(): Promise<void> {
    const { log, config, facts } = this.options
    const service = this.#service
    const link = this.#link
    if (service === undefined || link === undefined || this.#server !== undefined || this.#closing !== undefined) return
    try {
      const api = createApi({
        service,
        log,
        isBehindGateway: true,
        portal: portalOf(config(), facts),
        downloads: () => config().downloads,
        logs: this.#feed!,
        clientVersion: () => config().clientVersion,
        urlOf: socket => urlOf(socket, facts),
      })
      const server = createServer(api)
      this.#server = server
      const privateKey = privateKeyOf(link.privateKey)
      const inner = createInnerLayer(
        {
          privateKey,
          outerLayers: [link.url],
          identifier: SERVICE_IDENTIFIER,
          // A second login as the same would take the place of the first.
          connections: 1,
          nodes: 1,
          allowList: new AllowList([`${SERVICE_HOST}:80`]),
          drainTimeoutMs: DRAIN_MS,
          dialer: dialerTo(server),
          onUp: () => this.#channel.ready(),
        },
        { log: quietLog(log) },
      )
      this.#inner = inner
      await this.#openDoor(service, { url: link.url, privateKey })
      await inner.start()
    } catch (thrown) {
      log.error({ err: thrown }, 'the service cannot be offered')
      this.#channel.failed(messageOf(thrown))
      await this.close()
    }
  }

  async #openDoor(service: Service, linkTo: { readonly url: string; readonly privateKey: PrivateKey }): Promise<void> {
    const { config, log, facts } = this.options
    const { ssh, zone, hosts } = config()
    if (ssh === undefined) return
    const door = new SshDoor({
      access: service.ssh,
      // The outer layer tells of tunnels that come by links of their own; of these only the door knows who it is.
      tunnels: service.tunnels,
      linkTo,
      listen: { port: ssh.port, ...(ssh.host !== undefined && { host: ssh.host }) },
      greeting: {
        welcome: `Welcome to ${zone}!`,
        host: hosts.ssh?.host ?? zone,
        // Without a name of its own, clients come to the port that is opened here.
        port: hosts.ssh?.port ?? ssh.port,
        urlOf: socket => urlOf(socket, facts),
      },
      log,
    })
    try {
      await door.start()
      this.#door = door
    } catch (thrown) {
      // A port that is taken must not keep people from the API.
      if (!(thrown instanceof GatewayError)) throw thrown
      log.error({ err: thrown }, `the SSH door stays closed: ${thrown.message}`)
    }
  }

  async #close(): Promise<void> {
    // An end that comes in the middle of a start: what is opened behind it would stay open for ever.
    await this.#opening?.catch(() => undefined)
    clearInterval(this.#healthTimer)
    await Promise.all([this.#door?.close(DRAIN_MS), this.#inner?.close()])
    this.#server?.close()
    this.#server?.closeAllConnections()
    await Promise.all(this.#notes)
    const service = this.#service
    this.#service = undefined
    await service?.close()
    await this.#mailer?.close()
    await this.#store?.close()
    this.#over()
  }
}

function privateKeyOf(pem: string): PrivateKey {
  const key = createPrivateKey(pem)
  return { key, kid: thumbprintOf(createPublicKey(key)), algorithm: 'ES256' }
}

const portText = ({ appPort }: PublicFacts): string => (appPort === undefined ? '' : `:${appPort}`)

/** The console for users: with names and ports as they are seen from outside. */
function portalOf({ zone, hosts, ssh, portalProviders }: ServiceConfig, facts: PublicFacts): PortalOptions {
  const isLocal = hosts.portal === 'localhost' || hosts.portal.endsWith('.localhost')
  const door = hosts.ssh ?? (ssh === undefined ? undefined : { host: zone, port: ssh.port })
  return {
    host: hosts.portal,
    // Whoever has no TLS of their own has something with TLS before it, but for a try on this machine.
    isSecure: facts.appScheme === 'https' || !isLocal,
    providers: portalProviders,
    service: {
      zone,
      api: `${facts.appScheme}://${hosts.api}${portText(facts)}`,
      ...(door !== undefined && { ssh: door.port === 22 ? door.host : `${door.host}:${door.port}` }),
    },
  }
}

/** The URL at which visitors reach a socket. */
function urlOf(
  { type, dnsName, ports }: { readonly type: string; readonly dnsName: string; readonly ports: readonly number[] },
  facts: PublicFacts,
): string {
  return type === 'http' || type === 'https' ? `${facts.appScheme}://${dnsName}${portText(facts)}` : `${type}://${dnsName}:${ports[0] ?? 0}`
}
