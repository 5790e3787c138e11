import type { ErrorCode } from '../../errors.ts'
import { decodeNote } from '../../payload/origin-profile.ts'
import { encodeHealthChecks, parseHealthReport, type HealthCheck } from '../../payload/health-note.ts'
import { authorityOf, originOf, type TargetTable, type Target } from '../../route/table.ts'
import { DEFAULT_EJECTION } from '../../route/target.ts'
import type { Log } from '../../telemetry/log.ts'
import type { OriginProfiles } from './origin-profiles.ts'
import type { InnerConnection } from './registry.ts'

/** An origin did not get the request, or did not answer it. */
const FAILURES: ReadonlySet<ErrorCode> = new Set([
  'ORIGIN_REFUSED',
  'ORIGIN_DNS',
  'ORIGIN_TLS',
  'ORIGIN_CONNECT_TIMEOUT',
  'ORIGIN_CLOSED',
  'ORIGIN_TIMEOUT',
  'INNER_EXHAUSTED',
])
/** An ejection is at most so many times as long as the first. */
const MAX_FACTOR = 10

/** An origin is not well where one inner layer asks it, or is so again. */
export interface OriginTurn {
  readonly isWell: boolean
  /** With the path that is asked, if one is. */
  readonly origin: string
  readonly identifier: string
  /** Names of the targets that it is the origin of. */
  readonly targets: readonly string[]
  readonly reason?: string
}

/** The results of requests to one origin through one inner layer. */
interface FailureRecord {
  failures: number
  ejections: number
  ejectedUntilMs: number
}

/** The checks that one session was asked for. */
interface AnnouncedChecks {
  readonly text: string
  readonly checks: ReadonlyMap<number, HealthCheck>
}

/**
 * Which inner layers had better not be asked for which origin: because requests failed there in a row, or because they say themselves
 * that it is not well. Nothing is kept of what is well.
 */
export class OriginHealth {
  /** Origin → inner layer → its record. */
  readonly #records = new Map<string, Map<string, FailureRecord>>()
  /** Number of a check → inner layers that have reported a failure. */
  readonly #unhealthy = new Map<number, Set<string>>()
  readonly #numbers = new Map<string, number>()
  #lastNumber = 0
  readonly #numbersOfTargets = new WeakMap<Target, number>()
  readonly #told = new WeakMap<InnerConnection, AnnouncedChecks>()
  #table: TargetTable | undefined
  /** The last one that inner layers were told of. */
  #announced: TargetTable | undefined

  /** @param clock  milliseconds, rising @param onTurn  told of origins of the operator */
  constructor(
    private readonly clock: () => number,
    private readonly log: Log,
    private readonly onTurn: (turn: OriginTurn) => void = () => undefined,
  ) {}

  /** True while nothing speaks against anybody: the usual case, in which nobody has to be asked about. */
  get isEmpty(): boolean {
    return this.#records.size === 0 && this.#unhealthy.size === 0
  }

  /** Should this inner layer be asked last for the target? */
  isAvoided(target: Target, { instance }: Pick<InnerConnection, 'instance'>): boolean {
    const number = this.#numbersOfTargets.get(target)
    if (number !== undefined && this.#unhealthy.get(number)?.has(instance) === true) return true
    const record = this.#records.get(originOf(target))?.get(instance)
    return record !== undefined && record.ejectedUntilMs > this.clock()
  }

  /** A request for the target has failed before it was answered. */
  failed(target: Target, connection: InnerConnection, code: ErrorCode): void {
    const { failures: allowed, ejectMs } = target.health ?? DEFAULT_EJECTION
    if (allowed === 0 || !FAILURES.has(code)) return
    const origin = originOf(target)
    let records = this.#records.get(origin)
    if (records === undefined) this.#records.set(origin, (records = new Map<string, FailureRecord>()))
    let record = records.get(connection.instance)
    if (record === undefined) records.set(connection.instance, (record = { failures: 0, ejections: 0, ejectedUntilMs: 0 }))
    if (++record.failures < allowed) return
    const now = this.clock()
    // Requests that were under way already say nothing new.
    if (record.ejectedUntilMs > now) return
    const forMs = ejectMs * Math.min(MAX_FACTOR, 2 ** record.ejections)
    record.ejections++
    record.ejectedUntilMs = now + forMs
    // The next failure after it ejects again.
    record.failures = allowed - 1
    const { identifier } = connection
    if (target.pool !== 'tunnel') this.onTurn({ isWell: false, origin, identifier, targets: [target.name], reason: code })
    // What is wrong behind somebody's tunnel is nothing that the operator could mend.
    this.log[target.pool === 'tunnel' ? 'debug' : 'warn'](
      { target: target.name, identifier, code, forMs },
      `the inner layer "${identifier}" is asked last for ${target.name} for ${forMs} ms: ${allowed} requests in a row did not reach the origin (${code})`,
    )
  }

  /** A request for the target was answered. Call only while not `isEmpty`. */
  answered(target: Target, { instance, identifier }: InnerConnection): void {
    const origin = originOf(target)
    const records = this.#records.get(origin)
    const record = records?.get(instance)
    if (records === undefined || record === undefined) return
    records.delete(instance)
    if (records.size === 0) this.#records.delete(origin)
    if (record.ejections > 0 && target.pool !== 'tunnel') this.onTurn({ isWell: true, origin, identifier, targets: [target.name] })
  }

  /** The last connection of an inner layer has gone: nothing is known of it any more. */
  left({ instance }: InnerConnection): void {
    for (const [origin, records] of this.#records) if (records.delete(instance) && records.size === 0) this.#records.delete(origin)
    for (const [number, instances] of this.#unhealthy)
      if (instances.delete(instance) && instances.size === 0) this.#unhealthy.delete(number)
  }

  /**
   * Another table may be in force: tells each inner layer what to ask its origins from now on, and forgets what is gone.
   * @param connections  of the operator: tunnels are asked nothing
   */
  follow(table: TargetTable, connections: readonly InnerConnection[], profiles: OriginProfiles): void {
    if (table === this.#table) return
    this.#table = table
    for (const connection of connections) this.announce(table, connection, profiles)
    const numbers = new Set<number>()
    for (const target of table.all) numbers.add(this.#numbersOfTargets.get(target) ?? 0)
    for (const [text, number] of this.#numbers) if (!numbers.has(number)) this.#numbers.delete(text)
    for (const number of this.#unhealthy.keys()) if (!numbers.has(number)) this.#unhealthy.delete(number)
    const origins = new Set(table.all.map(originOf))
    for (const origin of this.#records.keys()) if (!origins.has(origin)) this.#records.delete(origin)
  }

  /** Tells one inner layer of the operator what to ask its origins, when that is not what it knows. */
  announce(table: TargetTable, connection: InnerConnection, profiles: OriginProfiles): void {
    this.#announced = table
    const checks = new Map<number, HealthCheck>()
    for (const target of table.all) {
      const isForIt = target.identifiers === undefined ? connection.isEnrolled !== true : target.identifiers.includes(connection.identifier)
      if (target.health?.check === undefined || target.hostname === '' || !isForIt) continue
      const check = this.#checkOf(target, profiles)
      checks.set(check.number, check)
    }
    const text = JSON.stringify([...checks.values()])
    const { session } = connection
    if (text === (this.#told.get(connection)?.text ?? '[]') || !session.isOpen) return
    this.#told.set(connection, { text, checks })
    for (const { profile } of checks.values()) profiles.announce(session, profile)
    for (const note of encodeHealthChecks([...checks.values()])) session.note(note)
  }

  /** A note of an inner layer. @throws GatewayError PROTOCOL */
  onNote(connection: InnerConnection, payload: Buffer): void {
    const note = decodeNote(payload)
    if (note.note !== 'health-report') return
    const { number, isHealthy, reason } = parseHealthReport(note)
    const check = this.#told.get(connection)?.checks.get(number)
    const instances = this.#unhealthy.get(number) ?? new Set<string>()
    const { identifier, instance } = connection
    // A check that is no longer wanted, or what another connection of the same process has said already.
    if (check === undefined || isHealthy !== instances.has(instance)) return
    if (isHealthy) instances.delete(instance)
    else instances.add(instance)
    if (instances.size > 0) this.#unhealthy.set(number, instances)
    else this.#unhealthy.delete(number)
    const what = `${check.protocol}://${check.host}${check.path}`
    const targets = this.#targetsOf(number)
    this.onTurn({ isWell: isHealthy, origin: what, identifier, targets, ...(!isHealthy && { reason }) })
    if (isHealthy) this.log.info({ identifier, check: what }, `the inner layer "${identifier}" finds ${what} healthy again`)
    else this.log.warn({ identifier, check: what, reason }, `the inner layer "${identifier}" finds ${what} not healthy: ${reason}`)
  }

  #targetsOf(number: number): readonly string[] {
    return this.#announced?.all.filter(target => this.#numbersOfTargets.get(target) === number).map(({ name }) => name) ?? []
  }

  #checkOf(target: Target, profiles: OriginProfiles): HealthCheck {
    const { protocol, hostname, port, health, profile } = target
    const facts = { protocol, hostname, port, host: authorityOf(target), ...health!.check!, profile: profiles.numberOf(profile) }
    const text = JSON.stringify(facts)
    const number = this.#numbers.get(text) ?? ++this.#lastNumber
    this.#numbers.set(text, number)
    this.#numbersOfTargets.set(target, number)
    return { number, ...facts }
  }
}
