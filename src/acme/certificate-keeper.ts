import { setTimeout as delay } from 'node:timers/promises'
import type { EventSink } from '../events/event-sink.ts'
import { messageOf } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { TokenBucket } from '../rates/token-bucket.ts'
import type { Log } from '../telemetry/log.ts'
import type { ChallengeKind, DnsRecords } from './acme-options.ts'
import { Attempts, LONGEST_WISH_MS, type FailedOrders } from './attempts.ts'
import type { Authority, IssuedPair } from './authority.ts'
import { AuthorityError } from './authority-http.ts'
import type { CertificateFolder } from './certificate-folder.ts'
import type { CertificateExchange, OrderLock } from './exchange.ts'
import { HeldCertificate } from './held-certificate.ts'
import type { PendingChallenges } from './pending-challenges.ts'
import { solverOf } from './solver.ts'
import { canBeCertified, chooseNames } from './wanted-names.ts'

/** Options of a keeper. */
export interface CertificateKeeperOptions {
  readonly folder: CertificateFolder
  readonly authority: Pick<Authority, 'order' | 'renewalWindow'>
  /** Its name, for messages. */
  readonly authorityName: string
  /** The names of the operator, as they are compared. */
  readonly names: () => readonly string[]
  /** Is there such a host, which is ordered for when it is first asked for? */
  readonly exists: (host: string) => boolean
  /** Is there a certificate of the operator for it? */
  readonly isGiven: (name: string) => boolean
  readonly challenges: PendingChallenges
  /** The port for plain HTTP is open. */
  readonly hasHttp: boolean
  readonly dns?: { readonly records: DnsRecords; readonly waitMs: number } | undefined
  /** Other nodes of a cluster: one of them orders, and all have it. */
  readonly exchange?: CertificateExchange | undefined
  /** Files have changed: they are to be in force when it resolves. */
  readonly onChange: () => Promise<unknown>
  readonly events: EventSink
  readonly log: Log
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Between two looks at what is to be renewed, milliseconds; the default suits everything but tests. */
  readonly lookMs?: number
  /** Factor of the pauses behind orders that have failed; the default suits everything but tests. */
  readonly pauseScale?: number
}

const LOOK_MS = 60_000
/** With other nodes: what one has ordered is to be in force at all of them soon. */
const SHARED_LOOK_MS = 2_000
/** Orders that are under way at once. */
const MAX_ORDERS = 4
/** Hosts that nobody has asked for before: so many at once, and in an hour in the long run. */
const DEMAND_BURST = 20
const DEMANDS_AN_HOUR = 20
const MAX_DEMANDED = 1_000
/** The pause of everything when an authority says that it is too much and not for how long, milliseconds. */
const RATE_LIMITED_MS = 3_600_000
const HOUR_S = 3_600
/** Time for orders that are given up, milliseconds. */
const CLOSE_MS = 5_000

/**
 * Keeps a certificate for each name that wants one: orders what is missing, renews what is about to end, and leaves in force what is there as long as
 * that fails.
 */
export class CertificateKeeper {
  readonly #attempts: Attempts
  readonly #held = new Map<string, HeldCertificate>()
  /** Hosts that were asked for, and have no certificate yet. */
  readonly #demanded = new Set<string>()
  readonly #demands: TokenBucket
  readonly #ordering = new Map<string, Promise<void>>()
  /** Names that another node orders for → when to look again, milliseconds since 1970. */
  readonly #elsewhere = new Map<string, number>()
  /** Names whose certificates the others may not have. */
  readonly #ungiven = new Set<string>()
  #isGiving = false
  /** Wildcards of which it was said that they cannot be had. */
  #told = ''
  /** Since when, and until when, milliseconds since 1970. */
  #pause = { atMs: 0, untilMs: 0 }
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Immediate | undefined
  #isClosed = false

  constructor(private readonly options: CertificateKeeperOptions) {
    const { folder, nowMs, pauseScale } = options
    this.#attempts = new Attempts(folder.path, nowMs, pauseScale)
    this.#demands = new TokenBucket(DEMANDS_AN_HOUR / HOUR_S, DEMAND_BURST, nowMs)
  }

  /** Orders that have failed, by name. */
  get failed(): ReadonlyMap<string, FailedOrders> {
    return this.#attempts.failed
  }

  /** Names for which an order is under way. */
  get ordering(): readonly string[] {
    return [...this.#ordering.keys()]
  }

  /** Reads what is there, and begins. @throws GatewayError FILE_UNREADABLE */
  async start(): Promise<void> {
    for (const [name, cert] of await this.options.folder.read()) this.#held.set(name, new HeldCertificate(cert))
    for (const name of this.#held.keys()) this.#ungiven.add(name)
    await this.#attempts.read()
    const { exchange, lookMs = exchange === undefined ? LOOK_MS : SHARED_LOOK_MS } = this.options
    this.#timer = setInterval(guarded(this.#fail, this.#look), lookMs).unref()
    this.#look()
  }

  /** Other names may be wanted. */
  readonly namesChanged = (): void => {
    if (this.#isClosed) return
    this.#soon ??= setImmediate(
      guarded(this.#fail, () => {
        this.#soon = undefined
        this.#look()
      }),
    )
  }

  /**
   * Somebody has asked for a name by TLS, and there is no certificate for it: one is ordered if there is such a host. A stranger can ask for any name, so
   * nothing else may make an order come about.
   */
  readonly demand = (host: string): void => {
    const { exists, isGiven } = this.options
    if (this.#isClosed || this.#demanded.has(host) || this.#demanded.size >= MAX_DEMANDED) return
    if (!canBeCertified(host) || !exists(host) || isGiven(host) || this.#isHeld(host)) return
    if (!this.#attempts.isDue(host) || !this.#demands.take()) return
    this.#demanded.add(host)
    this.namesChanged()
  }

  /** Ends; resolves when nothing is under way any more, or after some seconds. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    if (this.#soon !== undefined) clearImmediate(this.#soon)
    // What a program of the operator still does is not waited for.
    await Promise.race([Promise.all(this.#ordering.values()), delay(CLOSE_MS, undefined, { ref: false })])
  }

  /** A clock that was ahead when an authority wanted to be left alone must not hold everything for ever. */
  get #isPaused(): boolean {
    const now = this.options.nowMs()
    return this.#pause.atMs <= now && now < this.#pause.untilMs
  }

  #isHeld(host: string): boolean {
    return this.#held.has(host) || this.#held.has(`*${host.slice(Math.max(0, host.indexOf('.')))}`)
  }

  readonly #fail = (thrown: unknown): void => this.options.log.error({ err: thrown }, 'internal fault while certificates were looked after')

  readonly #look = (): void => {
    const { nowMs, exists, isGiven, names, dns } = this.options
    if (this.#isClosed) return
    const { wanted, withoutDns } = chooseNames(names(), dns !== undefined, isGiven)
    this.#tellWithoutDns(withoutDns)
    const all = new Set(wanted)
    for (const name of [...this.#held.keys(), ...this.#demanded]) if (!all.has(name) && exists(name) && !isGiven(name)) all.add(name)
    for (const name of all) {
      const held = this.#held.get(name)
      if (held !== undefined) this.#ask(name, held)
      if (this.#ordering.size >= MAX_ORDERS || this.#isPaused) continue
      if (this.#ordering.has(name) || !this.#attempts.isDue(name) || held?.isFresh(nowMs()) === true) continue
      if (nowMs() < (this.#elsewhere.get(name) ?? 0)) continue
      const order = this.#get(name, held)
        .catch(this.#fail)
        .finally(() => {
          this.#ordering.delete(name)
          this.namesChanged()
        })
      this.#ordering.set(name, order)
    }
    this.#dropOthers(all)
    this.#giveAll().catch(this.#fail)
  }

  /** Gives the others what they may not have: certificates of an earlier run, and those that they could not be told of. */
  async #giveAll(): Promise<void> {
    const { exchange, nowMs, folder } = this.options
    if (exchange === undefined || this.#isGiving) return
    this.#isGiving = true
    try {
      for (const name of this.#ungiven) {
        const held = this.#held.get(name)
        if (this.#isClosed) return
        if (held?.isFresh(nowMs()) === true) {
          const found = await exchange.find(name)
          const isKnown = found !== undefined && new HeldCertificate(found.cert).lifetime.notBeforeMs >= held.lifetime.notBeforeMs
          if (!isKnown && !(await exchange.give(name, await folder.pair(name), held.lifetime.notAfterMs))) return
        }
        this.#ungiven.delete(name)
      }
    } finally {
      this.#isGiving = false
    }
  }

  /** Asks the authority when it wants the certificate to be renewed. */
  #ask(name: string, held: HeldCertificate): void {
    const { authority, nowMs, log } = this.options
    if (!held.mayAsk(nowMs())) return
    authority.renewalWindow(held.cert).then(
      window => {
        held.answered(window, nowMs())
        if (window !== undefined && !held.isFresh(nowMs())) this.namesChanged()
      },
      (thrown: unknown) => log.debug({ name, reason: messageOf(thrown) }, 'the authority does not say when to renew'),
    )
  }

  /** Takes what another node has, or orders it if no other one does. */
  async #get(name: string, held: HeldCertificate | undefined): Promise<void> {
    const { exchange, nowMs, lookMs = SHARED_LOOK_MS } = this.options
    if (exchange === undefined) return this.#order(name, held, undefined)
    const lock = await exchange.lock(name)
    // Behind the lock: it may have come a moment ago.
    if (await this.#takeOver(name, held, exchange)) return lock?.release()
    if (lock !== undefined) return this.#order(name, held, lock)
    this.#elsewhere.set(name, nowMs() + lookMs)
  }

  async #takeOver(name: string, held: HeldCertificate | undefined, exchange: CertificateExchange): Promise<boolean> {
    const pair = await exchange.find(name)
    if (pair === undefined) return false
    const found = new HeldCertificate(pair.cert)
    if (!found.isFresh(this.options.nowMs()) || found.lifetime.notAfterMs <= (held?.lifetime.notAfterMs ?? 0)) return false
    await this.#install(name, pair, found)
    this.options.log.info({ name }, `the certificate for ${name} is there already: another node has ordered it, or an earlier run`)
    return true
  }

  async #install(name: string, pair: IssuedPair, certificate: HeldCertificate): Promise<void> {
    await this.options.folder.write(name, pair)
    this.#held.set(name, certificate)
    this.#demanded.delete(name)
    this.#elsewhere.delete(name)
    await this.#attempts.forget(name)
    await this.options.onChange()
  }

  async #order(name: string, held: HeldCertificate | undefined, lock: OrderLock | undefined): Promise<void> {
    const { authority, authorityName, challenges, dns, log } = this.options
    const kind = this.#kindFor(name)
    log.info({ name, kind }, `${held === undefined ? 'ordering' : 'renewing'} the certificate for ${name} at ${authorityName}, by ${kind}`)
    try {
      const pair = await authority.order({ name, kind, solve: solverOf(challenges, dns), replaces: held?.cert })
      const issued = new HeldCertificate(pair.cert)
      const isGiven = await this.options.exchange?.give(name, pair, issued.lifetime.notAfterMs)
      await this.#install(name, pair, issued)
      if (isGiven === false) this.#ungiven.add(name)
      this.#tell(name, issued)
      await lock?.release()
    } catch (error) {
      if (this.#isClosed) return lock?.release()
      const pauseMs = await this.#failed(name, kind, error)
      await lock?.hold(pauseMs)
    }
  }

  #tell(name: string, { lifetime }: HeldCertificate): void {
    const { events, log, authorityName } = this.options
    const notAfter = new Date(lifetime.notAfterMs).toISOString()
    log.info({ name, notAfter }, `the certificate for ${name} has come from ${authorityName}, good until ${notAfter}`)
    const note = { subject: name, fields: { name, authority: authorityName } }
    events.tell('certificate.issued', { ...note, fields: { ...note.fields, notAfter } })
    events.turn('certificate', true, note)
  }

  /** @returns the pause before the next attempt, milliseconds */
  async #failed(name: string, kind: ChallengeKind, error: unknown): Promise<number> {
    const { events, log, nowMs, authorityName } = this.options
    const reason = messageOf(error)
    const isLimit = error instanceof AuthorityError && error.type === 'rateLimited'
    const wishMs = error instanceof AuthorityError ? error.retryAfterMs : undefined
    if (isLimit) this.#pause = { atMs: nowMs(), untilMs: nowMs() + Math.min(wishMs ?? RATE_LIMITED_MS, LONGEST_WISH_MS) }
    const { nextMs, count } = await this.#attempts.fail(name, reason, wishMs)
    this.#demanded.delete(name)
    const next = new Date(nextMs).toISOString()
    const held = this.#held.get(name)
    const meanwhile =
      held === undefined ? 'there is none yet' : `the last one stays in force until ${new Date(held.lifetime.notAfterMs).toISOString()}`
    log.error(
      { code: 'CERTIFICATE_REFUSED', name, kind, attempts: count, next },
      `no certificate for ${name}: ${reason}; ${meanwhile}, next attempt ${next}`,
    )
    events.turn('certificate', false, { subject: name, fields: { name, authority: authorityName, reason, next } })
    return Math.max(1, nextMs - nowMs())
  }

  /** By the DNS where it can be written, else by what is asked at a port; what has failed is tried another way the next time. */
  #kindFor(name: string): ChallengeKind {
    if (this.options.dns !== undefined || name.startsWith('*.')) return 'dns-01'
    if (!this.options.hasHttp) return 'tls-alpn-01'
    return (this.#attempts.failed.get(name)?.count ?? 0) % 2 === 0 ? 'http-01' : 'tls-alpn-01'
  }

  #tellWithoutDns(names: readonly string[]): void {
    const list = names.join(', ')
    if (list === this.#told) return
    this.#told = list
    if (list !== '')
      this.options.log.warn(
        { names },
        `no certificate is ordered for ${list}: wildcards are proven by the DNS alone; give --acme-dns-hook or --acme-dns-server`,
      )
  }

  /** Names that nobody wants any more are kept until their certificates end, since they may be wanted again. */
  #dropOthers(wanted: ReadonlySet<string>): void {
    const { nowMs, folder, onChange } = this.options
    for (const [name, { lifetime }] of this.#held) {
      if (wanted.has(name) || nowMs() < lifetime.notAfterMs) continue
      this.#held.delete(name)
      folder
        .remove(name)
        .then(() => Promise.all([this.#attempts.forget(name), onChange()]))
        .catch(this.#fail)
    }
  }
}
