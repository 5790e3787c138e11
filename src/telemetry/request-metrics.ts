import { ERRORS, type ErrorCode } from '../errors.ts'
import type { AccessRecord } from './access-log.ts'
import { Histogram } from './histogram.ts'

/** Methods with a label of their own: a client may send any word. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const
/** Classes of statuses; `none` is for what got no answer. */
export const STATUSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const
/** Upper ends of the ranges of times, milliseconds. */
const BOUNDS_MS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000] as const

/** Labels that strangers or reloads could make up are counted together beyond so many. */
export const MAX_NAMES = 1_000
/** The label for all names beyond that. */
export const OTHER = '(other)'
/** The label for all sockets of the service together. */
export const SOCKETS = '(sockets)'
/** The label for all tunnels of the service together. */
export const TUNNELS = '(tunnels)'
/** The label for requests without a target. */
export const NO_TARGET = ''

const CODES = Object.keys(ERRORS) as ErrorCode[]
const CODE_INDEX = new Map(CODES.map((code, index) => [code, index]))

const methodIndex = (method: string): number => {
  switch (method) {
    case 'GET':
      return 0
    case 'HEAD':
      return 1
    case 'POST':
      return 2
    case 'PUT':
      return 3
    case 'PATCH':
      return 4
    case 'DELETE':
      return 5
    case 'OPTIONS':
      return 6
    default:
      return 7
  }
}

/** The last request of a target that ended with an error. */
export interface LastError {
  readonly code: ErrorCode
  readonly reason: string | undefined
  /** Milliseconds since 1970. */
  readonly atMs: number
}

/** The sums over the requests of one target since the start. */
export class TargetMetrics {
  readonly durationMs = new Histogram(BOUNDS_MS)
  readonly firstByteMs = new Histogram(BOUNDS_MS)
  bytesIn = 0
  bytesOut = 0
  lastError: LastError | undefined
  readonly #requests = new Float64Array(METHODS.length * STATUSES.length)
  readonly #errors = new Float64Array(CODES.length)

  /** All requests. */
  get requestCount(): number {
    return this.#requests.reduce((sum, count) => sum + count, 0)
  }

  /** Requests that ended with an error, but for those whose client had left. */
  get errorCount(): number {
    return this.#errors.reduce((sum, count) => sum + count, 0) - this.#errors[CODE_INDEX.get('CANCELLED')!]!
  }

  /** Takes a request that has ended. */
  count(record: AccessRecord, nowMs: () => number): void {
    const { status, error } = record
    const statusClass = status >= 100 && status < 600 ? (status / 100) | 0 : 0
    this.#requests[methodIndex(record.method) * STATUSES.length + statusClass]!++
    this.durationMs.observe(record.durationMs)
    if (record.firstByteMs !== undefined) this.firstByteMs.observe(record.firstByteMs)
    this.bytesIn += record.bytesIn
    this.bytesOut += record.bytesOut
    if (error === undefined) return
    this.#errors[CODE_INDEX.get(error)!]!++
    if (error !== 'CANCELLED') this.lastError = { code: error, reason: record.reason, atMs: nowMs() }
  }

  /** Requests by method and class of status, those that there were. */
  *requests(): Generator<{ readonly method: string; readonly status: string; readonly count: number }> {
    for (const [index, count] of this.#requests.entries()) {
      if (count === 0) continue
      yield { method: METHODS[Math.floor(index / STATUSES.length)]!, status: STATUSES[index % STATUSES.length]!, count }
    }
  }

  /** Errors by code, those that there were. */
  *errors(): Generator<{ readonly code: ErrorCode; readonly count: number }> {
    for (const [index, count] of this.#errors.entries()) if (count > 0) yield { code: CODES[index]!, count }
  }
}

/** Requests of an outer layer by target and by inner layer: one call for each that has ended, well below a microsecond. */
export class RequestMetrics {
  readonly #targets = new Map<string, TargetMetrics>()
  readonly #inners = new Map<string, { count: number }>()
  #repeats = 0

  /** @param nowMs  milliseconds since 1970 */
  constructor(private readonly nowMs: () => number) {}

  /** Takes a request that has ended. */
  count(record: AccessRecord): void {
    const { identifier, repeats, isOfSocket = false } = record
    this.of(isOfSocket ? SOCKETS : (record.target ?? NO_TARGET)).count(record, this.nowMs)
    if (identifier !== undefined) entryOf(this.#inners, isOfSocket ? TUNNELS : identifier, createCount).count++
    if (repeats !== undefined) this.#repeats += repeats
  }

  /** The numbers of one target. */
  of(name: string): TargetMetrics {
    return entryOf(this.#targets, name, createTargetMetrics)
  }

  /** By host key of the target. */
  get targets(): ReadonlyMap<string, TargetMetrics> {
    return this.#targets
  }

  /** Requests by the identifier of the inner layer that served them. */
  get inners(): ReadonlyMap<string, { readonly count: number }> {
    return this.#inners
  }

  /** The number of requests that were moved to another inner layer. */
  get repeats(): number {
    return this.#repeats
  }

  /** Forgets targets that are not in force any more. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.#targets.keys()) if (name !== NO_TARGET && name !== SOCKETS && !names.has(name)) this.#targets.delete(name)
  }
}

const createCount = (): { count: number } => ({ count: 0 })
const createTargetMetrics = (): TargetMetrics => new TargetMetrics()

function entryOf<T>(map: Map<string, T>, name: string, create: () => T): T {
  const known = map.get(name)
  if (known !== undefined) return known
  const key = map.size < MAX_NAMES ? name : OTHER
  let entry = map.get(key)
  if (entry === undefined) map.set(key, (entry = create()))
  return entry
}
