import { formatHostPort } from '../../address/host-port.ts'
import { isYamlMap } from '../../config/document/yaml.ts'
import type { Session } from '../../client/session.ts'
import type { Socket, SocketChange, SocketRequest, SocketVisitors, Tunnel } from '../../client/wire.ts'
import type { FoundService } from '../../discovery/found.ts'
import { GatewayError } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'
import { createFreshKey } from '../client/fresh-key.ts'
import type { CliContext } from '../command/context.ts'
import { portService } from '../connect/local-service.ts'
import { Serving } from '../connect/serving.ts'

/** The surroundings of publications. */
export interface PublicationsOptions {
  readonly session: Session
  readonly log: Log
  readonly context: CliContext
  readonly drainTimeoutMs: number
  readonly isInsecureAllowed: boolean
  readonly caFile: string | undefined
  /** A socket goes when nothing has served it for so long, milliseconds. */
  readonly keepMs: number
  /** Told of each that has got its public name, or that has lost it. */
  readonly onChanged?: (name: string, socket: Socket | undefined) => void
}

const RETRY_MS = 30_000
const FRESH_MS = 60_000

const list = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value) && value.every((entry): entry is string => typeof entry === 'string') ? value : undefined

/** The part of `access` that sockets have. @throws GatewayError CONFIG_INVALID for any other: it is never open by mistake */
function visitorsOf(access: unknown): SocketVisitors | null {
  if (access === undefined) return null
  const login = isYamlMap(access) && Object.keys(access).join() === 'login' ? access['login'] : undefined
  const known = isYamlMap(login) && Object.keys(login).every(key => ['emails', 'domains', 'groups'].includes(key)) ? login : undefined
  const [emails, domains, groups] = ['emails', 'domains', 'groups'].map(key => (known?.[key] === undefined ? [] : list(known[key])))
  if (known === undefined || emails === undefined || domains === undefined || groups === undefined)
    throw new GatewayError(
      'CONFIG_INVALID',
      'access: sockets of the service have { login: { emails, domains, groups } } alone; for other ways in, publish by --targets',
    )
  if (emails.length + domains.length + groups.length === 0)
    throw new GatewayError('CONFIG_INVALID', 'access: nobody could come; give emails, domains or groups')
  return { emails, domains, ...(groups.length > 0 && { groups }) }
}

/** The socket that a service is to have. @throws GatewayError CONFIG_INVALID */
function requestOf({ name, host, type, policy, access }: FoundService, keepMs: number): SocketRequest & Pick<SocketRequest, 'name'> {
  if (policy !== undefined)
    throw new GatewayError('CONFIG_INVALID', 'policy: sockets of the service have none, and it would be open; publish by --targets')
  return {
    name,
    type,
    visitors: visitorsOf(access),
    ...(host !== undefined && (host.includes('.') ? { customDomains: [host] } : { label: host })),
    ephemeralSeconds: Math.ceil(keepMs / 1000),
  }
}

const sameList = (a: readonly string[] = [], b: readonly string[] = []): boolean => [...a].sort().join('\n') === [...b].sort().join('\n')

const sameVisitors = (a: SocketVisitors | null | undefined, b: SocketVisitors | null): boolean =>
  !a || !b ? !a === !b : sameList(a.emails, b.emails) && sameList(a.domains, b.domains) && sameList(a.groups, b.groups)

/** Gives the change that a socket needs which is there. @throws GatewayError CONFLICT where it is another one */
function changeOf(socket: Socket, request: SocketRequest): SocketChange | undefined {
  if (socket.type !== (request.type ?? 'http'))
    throw new GatewayError(
      'CONFLICT',
      `there is a socket ${JSON.stringify(socket.name)} of type ${socket.type} already; delete it: socket-gateway socket delete ${socket.id}`,
    )
  const change: SocketChange = {
    ...(!sameVisitors(socket.visitors, request.visitors ?? null) && { visitors: request.visitors ?? null }),
    ...(request.customDomains !== undefined &&
      !sameList(socket.customDomains, request.customDomains) && { customDomains: request.customDomains }),
  }
  return Object.keys(change).length === 0 ? undefined : change
}

/** One service that was found, with its socket and the connection that serves it. */
class Publication {
  #serving: Serving | undefined
  #retry: NodeJS.Timeout | undefined
  #isOver = false

  /** @param tunnels  by the name of their service: those that this process has had */
  constructor(
    readonly service: FoundService,
    private readonly options: PublicationsOptions,
    private readonly tunnels: Map<string, string>,
  ) {}

  /** Makes what is missing, and serves it; tries again by itself until `close`. */
  async open(): Promise<void> {
    const { log } = this.options
    try {
      await this.#open()
    } catch (error) {
      if (this.#isOver) return
      const isFinal = error instanceof GatewayError && (error.code === 'CONFIG_INVALID' || error.code === 'INVALID')
      log.warn({ service: this.service.name, err: error }, isFinal ? 'not published' : 'not published yet; trying again')
      if (!isFinal) this.#again()
    }
  }

  async close(): Promise<void> {
    this.#isOver = true
    clearTimeout(this.#retry)
    await this.#serving?.close()
  }

  #again(): void {
    this.#retry = setTimeout(() => void this.open(), RETRY_MS)
  }

  async #open(): Promise<void> {
    const { session, log, context, keepMs, drainTimeoutMs, isInsecureAllowed, caFile } = this.options
    if (this.#isOver) return
    const { name, origin } = this.service
    const request = requestOf(this.service, keepMs)
    const { socket, isNew } = await this.#socket(request)
    const tunnel = await this.#tunnel(socket, isNew)
    const key = createFreshKey()
    const credentials = await session.client.tunnelCredentials(socket.id, tunnel.id, key.jwk)
    if (this.#isOver) return
    const fields = { service: name, url: socket.url }
    const serving = await Serving.start({
      session,
      socket,
      tunnel,
      credentials,
      key,
      context,
      drainTimeoutMs,
      isInsecureAllowed,
      caFile,
      log,
      enteredMs: 0,
      hint: '',
      inspection: undefined,
      service: portService(origin),
      screen: {
        say: message => log.warn(fields, message),
        lines: () => undefined,
        connected: (_socket, to) => log.info({ ...fields, origin: to }, 'published'),
      },
    })
    this.#serving = serving
    if (this.#isOver) return serving.close()
    this.options.onChanged?.(name, socket)
    void serving.ended.then(() => {
      this.#serving = undefined
      this.options.onChanged?.(name, undefined)
      if (!this.#isOver) this.#again()
    })
  }

  async #socket(request: SocketRequest): Promise<{ readonly socket: Socket; readonly isNew: boolean }> {
    const { client } = this.options.session
    const [socket] = await client.allSockets({ name: request.name })
    if (socket === undefined) return { socket: await client.createSocket(request), isNew: true }
    const change = changeOf(socket, request)
    return { socket: change === undefined ? socket : await client.updateSocket(socket.id, change), isNew: false }
  }

  /** Gives a tunnel without taking anybody over: the same name on another machine shares the load. What is fresh is of somebody who is about to connect. */
  async #tunnel({ id, tunnels }: Socket, isNew: boolean): Promise<Tunnel> {
    const own = this.tunnels.get(this.service.name)
    const isFree = ({ isConnected, createdAt: since }: Tunnel): boolean => !isConnected && Date.now() - Date.parse(since) > FRESH_MS
    const tunnel =
      tunnels.find(each => each.id === own) ??
      (isNew ? tunnels[0] : tunnels.find(isFree)) ??
      (await this.options.session.client.createTunnel(id))
    this.tunnels.set(this.service.name, tunnel.id)
    return tunnel
  }
}

const isSame = (a: FoundService, b: FoundService): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Sockets of the service for all that is found: as many as there are, and each as it is described now. */
export class Publications {
  readonly #all = new Map<string, Publication>()
  readonly #tunnels = new Map<string, string>()
  readonly #ending = new Set<Promise<void>>()

  constructor(private readonly options: PublicationsOptions) {}

  /** Ends what is not found any more, and begins what is new or has changed; nothing of it waits for anything else. */
  apply(found: readonly FoundService[]): void {
    const wanted = new Map(found.map(service => [service.name, service]))
    for (const [name, publication] of this.#all) {
      if (wanted.has(name)) continue
      this.#all.delete(name)
      this.options.log.info({ service: name, origin: formatHostPort(publication.service.origin) }, 'gone; its name is kept for a while')
      void this.#end(publication)
    }
    for (const [name, service] of wanted) {
      const before = this.#all.get(name)
      if (before !== undefined && isSame(before.service, service)) continue
      const publication = new Publication(service, this.options, this.#tunnels)
      this.#all.set(name, publication)
      // One after the other, or the new one would need a tunnel more.
      if (before === undefined) void publication.open()
      else void this.#end(before).then(() => publication.open())
    }
  }

  /** Lets requests in flight finish, and ends all of it; the sockets stay for a while. */
  async close(): Promise<void> {
    for (const publication of this.#all.values()) void this.#end(publication)
    this.#all.clear()
    await Promise.all(this.#ending)
  }

  #end(publication: Publication): Promise<void> {
    const { log, onChanged } = this.options
    const { name } = publication.service
    const ending = publication
      .close()
      .catch((error: unknown) => log.warn({ service: name, err: error }, 'did not end well'))
      .then(() => {
        this.#ending.delete(ending)
        onChanged?.(name, undefined)
      })
    this.#ending.add(ending)
    return ending
  }
}
