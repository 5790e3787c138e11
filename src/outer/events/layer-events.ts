import { addressKey } from '../../address/address-key.ts'
import { CertificateWatch, type WatchedCertificate } from '../../events/certificate-watch.ts'
import { Events } from '../../events/events.ts'
import type { EventBook } from '../../events/event-book.ts'
import type { KeyExpiry } from '../../identity/public-keys.ts'
import { guarded } from '../../net/guard.ts'
import type { TargetTable } from '../../route/table.ts'
import type { AccessRecord } from '../../telemetry/access-log.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CertificateStore } from '../../tls/certificate-store.ts'
import { VERSION } from '../../version.ts'
import type { RefusedInnerLayer } from '../inner-layers/link-port.ts'
import type { OriginTurn } from '../inner-layers/origin-health.ts'
import type { InnerConnection, Registry } from '../inner-layers/registry.ts'
import type { TcpEdge } from '../tcp-edge/tcp-edge.ts'
import { OverruledTargets, type HostOwners } from './overruled-targets.ts'
import { hostKeyOf, UnservedTargets } from './unserved-targets.ts'

/** Sources of faults are looked at so often, milliseconds; the last good ones are in force meanwhile. */
const LOOK_MS = 1_000
const CERTIFICATES_MS = 3_600_000
/** Inner layers often come and go together. */
const SETTLE_MS = 100

/** Refusals that say that a limit is reached, and which. */
const LIMITS: ReadonlyMap<string, string> = new Map([
  ['RATE_LIMITED', 'requests of one client'],
  ['OVERLOADED', 'requests that may be under way at once'],
  ['REFUSED_STREAM', 'streams of the inner layers'],
  ['INNER_EXHAUSTED', 'sockets or files of an inner layer'],
])

/** The parts of an outer layer that something happens to. */
export interface LayerEventsOptions {
  /** Without events of its own, the layer makes some, which nobody has but its admin port. */
  readonly layer: HostOwners & {
    readonly events?: Events
    readonly appCertificates?: CertificateStore
    readonly socketCertificates?: CertificateStore
    readonly reloads?: () => readonly { readonly what: string; readonly fault: string }[]
  }
  /** Of the operator. */
  readonly sources: {
    readonly targets: { readonly table: TargetTable; readonly fault?: { readonly message: string } | undefined }
    readonly keys: { readonly faults?: readonly { readonly message: string }[]; readonly expiries?: readonly KeyExpiry[] }
  }
  readonly registry: Registry
  readonly tcp: Pick<TcpEdge, 'clientFaults' | 'faults'>
  readonly log: Log
}

/** Says what happens in an outer layer, in the words of the catalogue. */
export class LayerEvents {
  readonly #events: Events
  readonly #certificates: CertificateWatch
  readonly #unserved: UnservedTargets
  readonly #overruled: OverruledTargets
  #timers: NodeJS.Timeout[] = []
  #settling: NodeJS.Timeout | undefined

  constructor(private readonly options: LayerEventsOptions) {
    const { registry, layer, sources } = options
    const events = layer.events ?? new Events({ nowMs: Date.now, onFault: this.#onFault })
    this.#events = events
    this.#unserved = new UnservedTargets(events, registry, () => sources.targets.table)
    this.#overruled = new OverruledTargets(events, layer, options.log)
    this.#certificates = new CertificateWatch(events, () => this.#watched(), Date.now)
  }

  readonly #onFault = (thrown: unknown): void => this.options.log.error({ err: thrown }, 'internal fault while events were told')

  /** The list of what has happened. */
  get book(): EventBook {
    return this.#events.book
  }

  /** The ports are open. */
  start(): void {
    const events = this.#events
    const onFault = this.#onFault
    events.tell('gateway.started', { subject: 'outer layer', fields: { version: VERSION } })
    this.#certificates.restore(events.book)
    this.#certificates.look()
    this.#unserved.look()
    const look = guarded(onFault, () => this.#look())
    const lookAtCertificates = guarded(onFault, () => this.#certificates.look())
    this.#timers = [setInterval(look, LOOK_MS).unref(), setInterval(lookAtCertificates, CERTIFICATES_MS).unref()]
  }

  /** The layer ends: nothing that happens from now on is news. Idempotent. */
  close(): void {
    this.#events.mute()
    clearTimeout(this.#settling)
    for (const timer of this.#timers) clearInterval(timer)
  }

  /** A connection of an inner layer has come. */
  added(connection: InnerConnection): void {
    if (connection.pool !== 'operator') return
    this.#turned(connection)
    this.tableChanged()
  }

  /** A connection of an inner layer has gone. */
  removed(connection: InnerConnection): void {
    if (connection.pool !== 'operator') return
    this.#turned(connection)
    this.tableChanged()
  }

  /** Other targets may be in force, or other inner layers be connected. */
  tableChanged(): void {
    this.#settling ??= setTimeout(
      guarded(this.#onFault, () => {
        this.#settling = undefined
        this.#unserved.look()
      }),
      SETTLE_MS,
    ).unref()
  }

  /** An inner layer was not let in. */
  refused(refused: RefusedInnerLayer, sightings: { readonly sawRefused: (refused: RefusedInnerLayer) => void }): void {
    sightings.sawRefused(refused)
    const { address, code, reason } = refused
    this.#events.tell('inner-layer.refused', { subject: `${addressKey(address)} ${code}`, fields: { address, code, reason } })
  }

  /** A request has ended. */
  sawRequest({ error, target, host, isOfSocket }: Pick<AccessRecord, 'error' | 'target' | 'host' | 'isOfSocket'>): void {
    const limit = error === undefined ? undefined : LIMITS.get(error)
    if (limit === undefined || error === undefined || isOfSocket === true) return
    const of = target === undefined ? host : hostKeyOf(target)
    const targets = target === undefined ? [] : [of]
    this.#events.tell('limit.reached', { subject: `${of} ${error}`, targets, fields: { limit: `${limit} at ${of}`, code: error } })
  }

  /** An origin is not well where an inner layer asks it, or is so again. */
  readonly originTurned = ({ isWell, origin, identifier, targets, reason }: OriginTurn): void =>
    this.#events.turn(
      'origin',
      isWell,
      {
        subject: origin,
        targets: [...new Set(targets.map(hostKeyOf))],
        fields: { origin, identifier, ...(reason !== undefined && { reason }) },
      },
      `${origin} ${identifier}`,
    )

  #turned({ identifier, address, kid, agent }: InnerConnection): void {
    const { registry } = this.options
    const isHere = registry.operators.some(other => other.identifier === identifier && other.address === address)
    const fields = { identifier, address, key: kid, ...(isHere && { agent }) }
    this.#events.turn('inner-layer', isHere, { subject: identifier, fields }, `${identifier} ${address}`)
  }

  #look(): void {
    const { sources, tcp, layer } = this.options
    const { targets, keys } = sources
    for (const { what, fault } of layer.reloads?.() ?? []) this.#reload(what, fault)
    this.#reload('targets', targets.fault?.message)
    this.#reload('public keys', keys.faults?.map(({ message }) => message).join('; '))
    for (const { port, store } of this.#stores)
      this.#reload(`certificates of the ${port}`, store.faults.map(({ message }) => message).join('; '))
    this.#reload('authorities of the TCP ports', tcp.clientFaults.join('; '))
    this.#overruled.look(targets.table)
    const reason = tcp.faults.join('; ')
    this.#events.turn('tcp-port', reason === '', { subject: 'TCP ports', fields: reason === '' ? {} : { reason } })
  }

  #reload(what: string, fault: string | undefined): void {
    const isWell = fault === undefined || fault === ''
    this.#events.turn('reload', isWell, { subject: what, fields: { what, ...(!isWell && { reason: fault }) } })
  }

  get #stores(): readonly { readonly port: string; readonly store: CertificateStore }[] {
    const { appCertificates, socketCertificates } = this.options.layer
    return [
      ...(appCertificates === undefined ? [] : [{ port: 'app port', store: appCertificates }]),
      ...(socketCertificates === undefined ? [] : [{ port: 'socket port', store: socketCertificates }]),
    ]
  }

  #watched(): readonly WatchedCertificate[] {
    const { keys } = this.options.sources
    const ofPorts = this.#stores.flatMap(({ port, store }): readonly WatchedCertificate[] => {
      const authorities =
        store.clientCa === undefined
          ? []
          : [{ use: `client authorities of the ${port}`, file: store.clientCaFile ?? '', pem: store.clientCa }]
      return [...store.pairs.map(({ source, cert }) => ({ use: port, file: source, pem: firstOf(cert) })), ...authorities]
    })
    const ofKeys = (keys.expiries ?? []).map(({ file, names, notAfterMs }) => ({
      use: 'key of an inner layer',
      file,
      pem: { names, notAfterMs },
    }))
    return [...ofPorts, ...ofKeys, ...authoritiesIn(this.options.sources.targets.table)]
  }
}

/** Authorities of client certificates, of TCP ports and of targets. */
function authoritiesIn({ tcp, all }: TargetTable): readonly WatchedCertificate[] {
  const ofPorts = tcp.flatMap(({ options: { key, clientCa } }) =>
    clientCa === undefined ? [] : [{ use: 'client authorities of a TCP port', file: `clientCa of tcp "${key}"`, pem: clientCa }],
  )
  const ofTargets = all.flatMap(({ name, treatment }) => {
    const ca = treatment?.access?.certificates?.ca
    return ca === undefined ? [] : [{ use: 'client authorities of a target', file: `access.certificates of "${name}"`, pem: ca }]
  })
  return [...ofPorts, ...ofTargets]
}

const END = '-----END CERTIFICATE-----'

/** The chain behind a certificate is renewed with it. */
const firstOf = (pem: string): string => `${pem.split(END, 1)[0] ?? ''}${END}`
