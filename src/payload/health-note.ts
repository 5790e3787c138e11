/** Notes about the health of origins: what the outer layer wants to be asked, and what the inner layer has found. */
import { GatewayError } from '../errors.ts'
import { encodeNote } from './origin-profile.ts'

/** One origin to be asked from time to time. */
export interface HealthCheck {
  /** The number that a report refers to. */
  readonly number: number
  readonly protocol: 'http' | 'https'
  readonly hostname: string
  readonly port: number
  /** Value of the Host field. */
  readonly host: string
  readonly path: string
  /** Number of the origin profile, announced before; 0 for none. */
  readonly profile: number
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Failures in a row that make it unhealthy. */
  readonly unhealthy: number
  /** Successes in a row that make it healthy again. */
  readonly healthy: number
}

/** Checks for one session. */
export interface HealthNote {
  readonly note: 'health'
  /** Replaces everything that was asked for before. */
  readonly isFirst: boolean
  readonly checks: readonly HealthCheck[]
}

/** The report of an inner layer on one check that has changed. */
export interface HealthReport {
  readonly note: 'health-report'
  readonly number: number
  readonly isHealthy: boolean
  readonly reason: string
}

/** Checks in one note, so that it fits into a frame. */
const CHECKS_PER_NOTE = 16
/** Checks of one session. */
export const MAX_HEALTH_CHECKS = 1_000

/** The notes for these checks, which take the place of all before. */
export function encodeHealthChecks(checks: readonly HealthCheck[]): Buffer[] {
  const notes: Buffer[] = []
  for (let i = 0; i === 0 || i < checks.length; i += CHECKS_PER_NOTE) {
    notes.push(encodeNote({ note: 'health', isFirst: i === 0, checks: checks.slice(i, i + CHECKS_PER_NOTE) } as HealthNote))
  }
  return notes
}

/** A note with the finding for one check. */
export const encodeHealthReport = (report: Omit<HealthReport, 'note'>): Buffer => encodeNote({ note: 'health-report', ...report })

type Raw = Readonly<Record<string, unknown>>

const isWhole = (value: unknown, from: number, to: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to

/** Visible ASCII alone: it becomes a line of a request. */
const isText = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value.length <= max && /^[\x21-\x7e]+$/.test(value)

function parseCheck(value: unknown): HealthCheck {
  const check = (typeof value === 'object' && value !== null ? value : {}) as Raw
  const { number, protocol, hostname, port, host, path, profile, intervalMs, timeoutMs, unhealthy, healthy } = check
  const isSound =
    isWhole(number, 1, 0xffff_ffff) &&
    (protocol === 'http' || protocol === 'https') &&
    isText(hostname, 255) &&
    isWhole(port, 1, 65_535) &&
    isText(host, 300) &&
    isText(path, 2_000) &&
    path.startsWith('/') &&
    isWhole(profile, 0, 0xffff) &&
    isWhole(intervalMs, 1, 0x7fff_ffff) &&
    isWhole(timeoutMs, 1, 0x7fff_ffff) &&
    isWhole(unhealthy, 1, 1_000) &&
    isWhole(healthy, 1, 1_000)
  if (!isSound) throw new GatewayError('PROTOCOL', 'a health check that is not what it should be')
  return { number, protocol, hostname, port, host, path, profile, intervalMs, timeoutMs, unhealthy, healthy }
}

/** A note of the kind `health`, checked. @throws GatewayError PROTOCOL */
export function parseHealthNote({ isFirst, checks }: Raw): HealthNote {
  if (typeof isFirst !== 'boolean' || !Array.isArray(checks) || checks.length > MAX_HEALTH_CHECKS)
    throw new GatewayError('PROTOCOL', 'health checks that are not what they should be')
  return { note: 'health', isFirst, checks: checks.map(parseCheck) }
}

/** A note of the kind `health-report`, checked; its reason is for a log. @throws GatewayError PROTOCOL */
export function parseHealthReport({ number, isHealthy, reason }: Raw): HealthReport {
  if (!isWhole(number, 1, 0xffff_ffff) || typeof isHealthy !== 'boolean' || typeof reason !== 'string')
    throw new GatewayError('PROTOCOL', 'a health report that is not what it should be')
  return { note: 'health-report', number, isHealthy, reason: reason.slice(0, 200).replace(/[^\x20-\x7e]/g, '?') }
}
