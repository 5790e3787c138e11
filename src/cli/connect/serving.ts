import { performance } from 'node:perf_hooks'
import { isThisMachine } from '../../address/this-machine.ts'
import type { Session } from '../../client/session.ts'
import type { Socket, Tunnel, TunnelCredentials } from '../../client/wire.ts'
import { GatewayError, messageOf, type ErrorCode } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { createInnerLayer, type InnerLayer } from '../../inner/inner-layer.ts'
import { proxyFor } from '../../net/http-proxy.ts'
import { AllowList } from '../../origin/allow-list.ts'
import { parseLogNote, type LogLine } from '../../payload/log-note.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { FreshKey } from '../client/fresh-key.ts'
import type { OriginInspection } from '../inspect/inspection.ts'
import type { LocalService } from './local-service.ts'
import { OriginWatch } from './origin-watch.ts'
import type { Screen } from './screen.ts'

const TAKEN_OVER =
  'a newer login has taken this tunnel over; where both are meant to serve, give each a tunnel of its own: socket-gateway tunnel create'
const GONE = 'its socket or its tunnel was deleted, or the account was suspended'
const GONE_OR_TAKEN_OVER = 'its socket or its tunnel was deleted, a newer login has taken its place, or the account was suspended'
/** Answers of the API about a tunnel that is no more, or of an account that is out of force. */
const IS_GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['NOT_FOUND', 'UNAUTHENTICATED'])
/** The longest that a timer is set for. */
const MAX_RENEWAL_MS = 86_400_000
const RENEW_AGAIN_MS = 30_000

/** A tunnel, and the means to serve it. */
export interface ServingOptions {
  readonly session: Session
  readonly socket: Socket
  readonly tunnel: Tunnel
  readonly credentials: TunnelCredentials
  readonly key: FreshKey
  readonly service: LocalService
  readonly screen: Pick<Screen, 'say' | 'connected' | 'lines'>
  readonly context: CliContext
  /** When the command was entered, as `performance.now`. */
  readonly enteredMs: number
  /** Its end, in words. */
  readonly hint: string
  readonly drainTimeoutMs: number
  readonly isInsecureAllowed: boolean
  readonly inspection: OriginInspection | undefined
  readonly caFile: string | undefined
  readonly log: Log
}

/** The link URLs of the service, all of which are encrypted or lead to this machine. @throws GatewayError */
function linkUrlsOf({ credentials, isInsecureAllowed }: ServingOptions): readonly string[] {
  const { linkUrls } = credentials
  if (linkUrls.length === 0)
    throw new GatewayError(
      'SERVICE_UNREACHABLE',
      'the service names no port for connections; its operator has to give hosts.link in service.yaml',
    )
  const open = linkUrls.filter(url => !/^(?:wss|https):/.test(url) && !isThisMachine(new URL(url).hostname))
  if (open.length > 0 && !isInsecureAllowed)
    throw new GatewayError(
      'USAGE',
      `the service wants connections at ${open.join(', ')}: not encrypted, everybody on the way could read and change requests; its operator has to give a wss:// URL, or pass --insecure`,
    )
  return linkUrls
}

/** One tunnel that is served by this process, until it is asked to end or nothing is left to serve. */
export class Serving {
  readonly #layer: InnerLayer
  readonly #watch: OriginWatch
  #renewal: NodeJS.Timeout | undefined
  #isUp = false
  #wasUp = false
  #lostMs = 0
  #firstFailure: ErrorCode | undefined
  #isRenewing = false
  #isOver = false
  #end: (status: ExitStatus) => void = () => undefined
  /** Resolves when it cannot go on. */
  readonly ended = new Promise<ExitStatus>(resolve => (this.#end = resolve))

  private constructor(
    private readonly options: ServingOptions,
    ca: string | undefined,
  ) {
    const { credentials, key, context, socket, service, drainTimeoutMs, screen, inspection } = options
    const isPort = socket.type === 'tcp' || socket.type === 'tls'
    this.#watch = new OriginWatch(service, message => screen.say(message), isPort ? 'are disconnected' : 'get 502')
    this.#layer = createInnerLayer(
      {
        privateKey: key.privateKey,
        outerLayers: linkUrlsOf(options),
        identifier: credentials.identifier,
        ...(ca !== undefined && { outerLayerCa: ca }),
        proxyFor: url => proxyFor(url, context.env),
        // A tunnel is exclusive: of two connections the later one would take it from the other.
        connections: 1,
        allowList: new AllowList([`${socket.id}.socket.invalid:*`]),
        drainTimeoutMs,
        dialer: service.dialer,
        tcpDialer: service.tcpDialer,
        ...(inspection !== undefined && { taps: inspection.taps }),
        onLog: note => this.#lines(parseLogNote(note)),
        ...(context.onMoved !== undefined && { onMoved: context.onMoved }),
        onUp: () => this.#up(),
        onDown: ({ code, reason }) => this.#down(code, reason),
      },
      { log: options.log },
    )
    inspection?.serves(this.#layer)
  }

  /** Begins to dial. @throws GatewayError USAGE, FILE_UNREADABLE */
  static async start(options: ServingOptions): Promise<Serving> {
    const ca = options.caFile === undefined ? undefined : await readCertificates(options.caFile)
    const serving = new Serving(options, ca)
    serving.#watch.look()
    serving.#renewLater(Date.parse(options.credentials.expiresAt))
    await serving.#layer.start()
    return serving
  }

  /** Lets requests in flight finish, then ends. */
  async close(): Promise<void> {
    this.#isOver = true
    this.#stop()
    await this.#layer.close()
  }

  #stop(): void {
    clearTimeout(this.#renewal)
    this.#watch.close()
  }

  #up(): void {
    const { screen, socket, service, enteredMs, hint } = this.options
    this.#isUp = true
    if (this.#wasUp) screen.say(`connected again after ${((performance.now() - this.#lostMs) / 1000).toFixed(1)} s`)
    else screen.connected(socket, service.urlOf(socket.upstream?.protocol ?? socket.type), { ms: performance.now() - enteredMs, hint })
    this.#wasUp = true
  }

  #lines(lines: readonly LogLine[]): void {
    this.options.screen.lines(lines)
    if (lines.some(line => 'status' in line && line.status >= 502)) this.#watch.look()
    const { socket } = this.options
    if (lines.some(line => line.kind === 'request' && line.status === 502)) this.#watch.lookAtTls(socket.upstream?.protocol ?? socket.type)
  }

  #down(code: ErrorCode, reason: string): void {
    if (this.#isOver) return
    if (code === 'TAKEN_OVER') return void this.#takenOver()
    if (code === 'KEY_REMOVED') return void this.#removed()
    // The key may be over, or unknown to an outer layer that has started anew.
    if (code === 'AUTH') void this.#renew()
    if (this.#wasUp && this.#isUp) {
      this.#lostMs = performance.now()
      this.options.screen.say(`connection lost: ${reason || code}; connecting again`)
    } else if (!this.#wasUp && code !== this.#firstFailure) {
      this.#firstFailure = code
      this.options.screen.say(`cannot connect yet: ${reason || code}; trying again`)
    }
    this.#isUp = false
  }

  /** Says what removed the key: a newer login of a tunnel removes the one before, so a tunnel that is still there was taken over. */
  async #removed(): Promise<void> {
    if (!this.#leave()) return
    const { session, socket, tunnel, screen } = this.options
    const why = await session.client.tunnel(socket.id, tunnel.id).then(
      () => TAKEN_OVER,
      (error: unknown) => (error instanceof GatewayError && IS_GONE.has(error.code) ? GONE : GONE_OR_TAKEN_OVER),
    )
    screen.say(`the connection has ended: ${why} (KEY_REMOVED)`)
    this.#end(1)
  }

  /** Visitors who are there finish; the outer layer cuts what takes longer than half a minute. */
  async #takenOver(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    this.#stop()
    this.options.screen.say(`the connection has ended: ${TAKEN_OVER} (TAKEN_OVER)`)
    await this.#layer.close()
    this.#end(1)
  }

  #over(message: string): void {
    if (!this.#leave()) return
    this.options.screen.say(message)
    this.#end(1)
  }

  /** Dials no more. @returns whether it did until now */
  #leave(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#stop()
    this.#layer.destroy()
    return true
  }

  /** @param expiresAtMs  of the key, milliseconds since 1970 */
  #renewLater(expiresAtMs: number): void {
    clearTimeout(this.#renewal)
    const ms = Math.max(RENEW_AGAIN_MS, Math.min(MAX_RENEWAL_MS, (expiresAtMs - Date.now()) / 2))
    this.#renewal = setTimeout(() => void this.#renew(), Number.isFinite(ms) ? ms : MAX_RENEWAL_MS).unref()
  }

  /** Registers the key again, so that it counts for longer. The API may be away meanwhile. */
  async #renew(): Promise<void> {
    if (this.#isRenewing || this.#isOver) return
    this.#isRenewing = true
    const { session, socket, tunnel, key } = this.options
    try {
      const { expiresAt } = await session.client.renewCredentials(socket.id, tunnel.id, key.jwk)
      this.#renewLater(Date.parse(expiresAt))
    } catch (error) {
      const code = error instanceof GatewayError ? error.code : 'INTERNAL'
      // While it is connected, the outer layer says when the newer one is there.
      if (code === 'CONFLICT' && !this.#isUp) this.#over(`the connection has ended: ${TAKEN_OVER} (${code})`)
      else if (code === 'NOT_FOUND') this.#over(`the connection has ended: ${GONE} (${code})`)
      else if (code === 'UNAUTHENTICATED' && !this.#isUp) this.#over(`the connection has ended: ${messageOf(error)} (${code})`)
      else this.#renewLater(Date.now() + 2 * RENEW_AGAIN_MS)
    } finally {
      this.#isRenewing = false
    }
  }
}
