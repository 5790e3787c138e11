import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { ERRORS, type ErrorCode } from '../errors.ts'
import { createProof } from '../identity/proof.ts'
import type { PrivateKey } from '../identity/private-key.ts'
import { dial } from '../link/dialer.ts'
import { LinkCounters } from '../mux/link-counters.ts'
import { DEFAULT_TIMING, type Timing } from '../mux/liveness.ts'
import { GrowthBudget } from '../mux/receive-window.ts'
import { settleWithin } from '../mux/settle-within.ts'
import type { Log } from '../telemetry/log.ts'
import { placeOfProxy } from '../net/http-proxy.ts'
import { createTracing } from '../telemetry/tracing.ts'
import { AGENT, VERSION } from '../version.ts'
import { DEFAULT_LIMITS, GROWTH_BUDGET_BYTES } from '../mux/limits.ts'
import type { Admin, AdminOptions } from '../admin/admin.ts'
import type { AllowList } from '../origin/allow-list.ts'
import type { Dialer } from '../origin/dial.ts'
import { ConnectionRecord } from './connection-record.ts'
import { Connector, type ConnectorOptions } from '../link/connector.ts'
import { FailureLog } from './failure-log.ts'
import { LayerEvents } from './layer-events.ts'
import { createOperatorView } from './operator-view.ts'
import type { Taps } from '../tap/tap.ts'
import type { OriginContext, OriginDrivers } from '../origin/origin-exchange.ts'
import { Origins } from '../origin/origin-drivers.ts'
import { NameLookup } from '../origin/name-lookup.ts'
import { OriginPolicy } from '../origin/origin-policy.ts'
import { READ_BYTES } from '../net/read-into.ts'
import { HealthChecks } from '../origin/health-checks.ts'
import { NodeLinks, type FoundLinks } from './node-links.ts'
import { parseNodesNote } from '../payload/nodes-note.ts'
import { createSessionHandler, type HealthContext } from './session-handler.ts'
import type { TcpOriginContext, TlsNames } from '../origin/tcp-origin.ts'
import { FIELD_LISTS } from '../payload/field-lists.ts'
import { decodeNote, encodeNote } from '../payload/origin-profile.ts'

/** The end of a connection, or of an attempt to make one. */
export interface DownFacts {
  readonly code: ErrorCode
  readonly reason: string
  readonly wasUp: boolean
  /** When the next attempt starts; undefined: there is none. */
  readonly retryMs: number | undefined
}

/** Options of an inner layer. */
export interface InnerLayerOptions {
  readonly privateKey: PrivateKey
  /** URLs, ws: or wss: (http: and https: read the same); a connection is kept to each of them. */
  readonly outerLayers: readonly string[]
  readonly identifier: string
  /** True when the identifier was not chosen: then the one that the key is bound to at an outer layer is as good. */
  readonly isIdentifierDefault?: boolean
  /** PEM of the only authority to trust for wss:. */
  readonly outerLayerCa?: string
  /** PEM of a client certificate for wss:, signed for `privateKey`. */
  readonly clientCertificate?: string
  /** The HTTP proxy on the way to an outer layer; absent: none. @throws GatewayError USAGE */
  readonly proxyFor?: (url: URL) => URL | undefined
  /** Connections to each outer layer. */
  readonly connections: number
  /** Outer layers of a cluster to be linked to, with others that those of `outerLayers` tell of; default 2. */
  readonly nodes?: number
  readonly allowList: AllowList
  readonly drainTimeoutMs: number
  /** Looks at what is exchanged with origins. */
  readonly taps?: Taps
  /** Another way to origins of HTTP than sockets of this machine. */
  readonly dialer?: Dialer
  /** The admin port; none when absent. */
  readonly admin?: AdminOptions
  /** The same for connections that are carried as they are. */
  readonly tcpDialer?: Dialer
  /** Names whose TLS this process ends itself. */
  readonly tlsNames?: TlsNames
  /** Takes notes of the live log of a socket, which are asked for when this is given. */
  readonly onLog?: (note: Readonly<Record<string, unknown>>) => void
  /** A connection is up. */
  readonly onUp?: () => void
  /** A connection has ended, or could not be made. */
  readonly onDown?: (facts: DownFacts) => void
  /** Factor of the times in which events are held back; the default suits everything but tests. */
  readonly eventHoldScale?: number
  /** Liveness of the links; the default suits everything but tests. */
  readonly timing?: Timing
  /** Told of bytes that links have moved, and whether many streams were open, so that the process can keep its garbage small. */
  readonly onMoved?: (bytes: number, isMany: boolean) => void
}

/** The process inside the private network: dials outer layers and makes the requests that they ask for. */
export class InnerLayer {
  readonly #origins: Origins
  readonly #connectors: Connector[] = []
  readonly #instance = randomUUID()
  readonly #context: OriginContext & TcpOriginContext & HealthContext
  readonly #budget = new GrowthBudget(GROWTH_BUDGET_BYTES)
  readonly #counters: LinkCounters
  readonly #records: ConnectionRecord[] = []
  readonly #nodeLinks: NodeLinks
  readonly #admin: Admin
  /** For the admin port: without it, nobody could read them. */
  readonly #events: LayerEvents | undefined
  #isDraining = false
  #closing: Promise<void> | undefined

  constructor(
    private readonly options: InnerLayerOptions,
    private readonly log: Log,
  ) {
    const policy = new OriginPolicy(options.allowList, new NameLookup(() => performance.now()))
    this.#origins = new Origins({ policy, clock: () => performance.now(), ...(options.dialer !== undefined && { dialer: options.dialer }) })
    this.#counters = new LinkCounters(options.onMoved)
    this.#events = options.admin === undefined ? undefined : eventsOf(options, log)
    const failures = new FailureLog(log, options.allowList.open, () => performance.now())
    this.#context = {
      policy,
      ...(options.tcpDialer !== undefined && { dialer: options.tcpDialer }),
      names: options.tlsNames,
      drivers: this.#origins,
      memory: Buffer.allocUnsafeSlow(READ_BYTES),
      taps: options.taps,
      health: new HealthChecks(this.#origins, Math.random, this.#events?.originTurned),
      onFailure: (head, code, reason) => failures.report(head, code, reason),
      tracing: createTracing('inner', VERSION),
      clock: () => performance.now(),
    }
    for (const url of options.outerLayers) {
      for (let number = 1; number <= options.connections; number++) this.#connectors.push(this.#createConnector(url, number, true))
    }
    const isEncrypted = options.outerLayers.every(url => /^(?:wss|https):/i.test(url))
    this.#nodeLinks = new NodeLinks({
      wanted: options.nodes ?? 2,
      admits: url => !isEncrypted || /^wss:/i.test(url),
      create: url => this.#find(url),
      random: Math.random,
    })
    this.#admin = createOperatorView({
      admin: options.admin,
      identifier: options.identifier,
      events: this.#events?.book,
      connections: this.#records,
      failures,
      counters: this.#counters,
      streamCount: () => this.streamCount,
      isDraining: () => this.#isDraining,
      log,
      clock: () => performance.now(),
    })
  }

  /** The admin port once started, 0 when there is none. */
  get adminPort(): number {
    return this.#admin.port
  }

  /** The ways to origins, within the allow-list. */
  get drivers(): OriginDrivers {
    return this.#origins
  }

  /** Connections that are up at the moment. */
  get connectionCount(): number {
    return this.#connectors.filter(connector => connector.isUp).length
  }

  /** Requests that may be under way at a time. */
  get maxStreams(): number {
    return DEFAULT_LIMITS.streams * this.#connectors.length
  }

  /** Requests under way at the moment. */
  get streamCount(): number {
    return this.#connectors.reduce((sum, connector) => sum + connector.streamCount, 0)
  }

  /** Bytes of all requests that are queued, under way, or received and not consumed. */
  get outstandingBytes(): number {
    return this.#connectors.reduce((sum, connector) => sum + connector.outstandingBytes, 0)
  }

  /**
   * Opens the admin port and starts to dial; that an outer layer cannot be reached yet is logged and tried again, never an error.
   * @throws GatewayError LISTEN_FAILED
   */
  async start(): Promise<void> {
    const { outerLayers, identifier, allowList, connections } = this.options
    await this.#admin.start()
    this.#events?.start()
    const admin = this.#admin.port
    this.log.info(
      { identifier, outerLayers, connections, ...(admin > 0 && { adminPort: admin }) },
      `inner layer "${identifier}" starting${admin > 0 ? `, operators on port ${admin}` : ''}`,
    )
    if (allowList.open) {
      this.log.warn(
        {},
        'the outer layer may ask for every host that this machine can reach (but link-local and cloud-metadata addresses); name the allowed ones with --allow HOST:PORT',
      )
    }
    for (const connector of this.#connectors) connector.start()
  }

  /** Makes what takes the streams and the notes of an outer layer in this very process. @param note  tells it something */
  serveOwn(note: (payload: Buffer) => void): ReturnType<typeof createSessionHandler> {
    return createSessionHandler(this.#context, note)
  }

  /** Lets requests in flight finish, up to the drain timeout, then ends. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#drain()
    return this.#closing
  }

  /** Ends now. */
  destroy(): void {
    this.#isDraining = true
    this.#events?.close()
    this.#nodeLinks.stop()
    for (const connector of this.#connectors) connector.destroy()
    this.#context.health.close()
    this.#origins.close()
    void this.#admin.close()
  }

  async #drain(): Promise<void> {
    this.#isDraining = true
    this.#nodeLinks.stop()
    this.log.info({}, 'draining: requests in flight finish, new ones go elsewhere')
    // Sessions first: origins are still needed by the streams that finish.
    const done = await settleWithin(Promise.all(this.#connectors.map(connector => connector.drain())), this.options.drainTimeoutMs)
    if (!done) this.log.warn({ drainTimeoutMs: this.options.drainTimeoutMs }, 'drain timeout: requests in flight are cut')
    this.destroy()
    await this.#admin.close()
  }

  /** Links to an outer layer that another one has told of. */
  #find(url: string): FoundLinks {
    this.log.info({ outerLayer: url }, `another outer layer of the cluster is at ${url}`)
    const own = Array.from({ length: this.options.connections }, (_, index) => this.#createConnector(url, index + 1, false))
    this.#connectors.push(...own)
    const forget = (): void => {
      for (const list of [this.#connectors, this.#records]) {
        const kept = (list as (Connector | ConnectionRecord)[]).filter(each => !isOf(each, own))
        list.splice(0, list.length, ...(kept as never[]))
      }
    }
    return {
      start: () => own.forEach(connector => connector.start()),
      drain: async () => {
        await Promise.all(own.map(connector => connector.drain()))
        forget()
      },
    }
  }

  #createConnector(url: string, number: number, isGiven: boolean): Connector {
    const { privateKey, identifier, outerLayerCa, clientCertificate } = this.options
    const proxy = this.options.proxyFor?.(new URL(url))
    const place = proxy === undefined ? url : `${url} through the proxy ${placeOfProxy(proxy)}`
    const name = this.options.connections === 1 ? place : `${place} (connection ${number} of ${this.options.connections})`
    const keyPem = clientCertificate === undefined ? undefined : (privateKey.key.export({ type: 'pkcs8', format: 'pem' }) as string)
    let lastReason = ''
    const record = new ConnectionRecord(url, Date.now)
    this.#records.push(record)
    const connector = new Connector({
      dial: events =>
        dial(
          {
            url,
            proxy,
            ...(outerLayerCa === undefined ? {} : { ca: outerLayerCa }),
            ...(clientCertificate === undefined || keyPem === undefined ? {} : { certificate: clientCertificate, key: keyPem }),
          },
          events,
        ),
      introduction: {
        agent: AGENT,
        instance: this.#instance,
        features: [FIELD_LISTS],
        limits: DEFAULT_LIMITS,
        // The outer layer's clock counts, so this machine's clock may be wrong by any amount.
        prove: hello =>
          createProof(privateKey, {
            identifier,
            isDefault: this.options.isIdentifierDefault,
            url: authorityOf(url),
            audience: hello.audience,
            nonce: hello.nonce,
            nowSeconds: hello.time,
            validityMs: hello.validityMs,
          }),
      },
      session: {
        budget: this.#budget,
        counters: this.#counters,
        clock: () => performance.now(),
        timing: this.options.timing ?? DEFAULT_TIMING,
        onFault: thrown => this.log.error({ err: thrown }, 'internal fault while handling a stream'),
      },
      serve: note => this.#serve(note, isGiven),
      clock: () => performance.now(),
      random: Math.random,
      onUp: ({ identifier: granted, agent }) => {
        lastReason = ''
        record.up(agent)
        this.#events?.connected(url, granted, agent)
        this.log.info({ outerLayer: url, identifier: granted, agent }, `connected to ${name} as "${granted}"`)
        this.options.onUp?.()
      },
      onDown: ({ code, reason: given, wasUp, retryMs }) => {
        const reason = given || ERRORS[code].text
        record.down(reason)
        const isUp = this.#records.some(each => each.outerLayer === url && each.isUp)
        if (!this.#isDraining) this.#events?.lost(url, { code, reason, isUp })
        const fields = { outerLayer: url, code, reason, retryMs }
        const next = retryMs === undefined ? '' : `${reason.endsWith('?') ? ' N' : '; n'}ext attempt in ${retryMs} ms`
        if (wasUp && retryMs === undefined) this.log.info(fields, `left ${name}: ${reason}`)
        else if (wasUp) this.log.warn(fields, `connection to ${name} ended: ${reason}${next}`)
        // The same failure again and again is one line, then debug.
        else if (reason !== lastReason)
          this.log.warn(fields, `cannot connect to ${name}: ${adviceFor({ code, reason, kid: privateKey.kid, identifier })}${next}`)
        else this.log.debug(fields, `still cannot connect to ${name}: ${reason}${next}`)
        lastReason = wasUp ? '' : reason
        this.options.onDown?.({ code, reason, wasUp, retryMs })
      },
    })
    record.connector = connector
    return connector
  }

  #serve(note: (payload: Buffer) => void, isGiven: boolean): ReturnType<ConnectorOptions['serve']> {
    const handler = createSessionHandler(this.#context, note)
    const { onLog } = this.options
    // The session exists once this has returned.
    if (onLog !== undefined) queueMicrotask(() => note(encodeNote({ note: 'watch-log' })))
    const session = {}
    return {
      ...handler,
      onNote: payload => {
        const said = decodeNote(payload)
        if (said.note === 'nodes') this.#nodeLinks.told(session, parseNodesNote(said), isGiven)
        else if (said.note === 'log' && onLog !== undefined) onLog(said)
        else handler.onNote(said)
      },
      close: () => {
        this.#nodeLinks.lost(session)
        handler.close()
      },
    }
  }
}

const isOf = (each: Connector | ConnectionRecord, own: readonly Connector[]): boolean => {
  const connector = each instanceof Connector ? each : each.connector
  return connector !== undefined && own.includes(connector)
}

/** Makes an inner layer; `start` begins to dial. */
export const createInnerLayer = (options: InnerLayerOptions, { log }: { readonly log: Log }): InnerLayer => new InnerLayer(options, log)

/** Events of an inner layer, with the certificates that its links need. */
function eventsOf({ identifier, outerLayerCa, clientCertificate, eventHoldScale }: InnerLayerOptions, log: Log): LayerEvents {
  const certificates = [
    ...(outerLayerCa === undefined ? [] : [{ use: 'authority of the outer layer', file: '--outer-layer-ca', pem: outerLayerCa }]),
    ...(clientCertificate === undefined
      ? []
      : [{ use: 'client certificate for the outer layer', file: '--inner-layer-certificate', pem: clientCertificate }]),
  ]
  return new LayerEvents({ identifier, certificates, log, holdScale: eventHoldScale })
}

/** Scheme and authority of the URL that is dialled, in one spelling. */
function authorityOf(url: string): string {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

interface Refusal {
  readonly code: ErrorCode
  readonly reason: string
  readonly kid: string
  readonly identifier: string
}

function adviceFor({ code, reason, kid, identifier }: Refusal): string {
  if (code === 'AUTH') {
    return `refused as "${identifier}"; is the key (thumbprint ${kid}) registered at the outer layer, and may it claim this identifier (--identifier)? Its log has the exact reason`
  }
  if (code === 'AUTH_TIMEOUT') return ERRORS.AUTH_TIMEOUT.text
  return reason
}
