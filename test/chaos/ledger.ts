/**
 * The oracle: what clients asked for and got, what origins executed, and what the access log says of it, held against the invariants of
 * docs/reliability.md. It knows nothing of what was broken meanwhile, but for processes that were killed: their last words are lost.
 */
import { isIdempotent, type Plan } from './plan.ts'

/** What a client saw. */
export interface Seen {
  /** 0: no answer at all. */
  readonly status: number
  /** It looked whole: the framing of its protocol came to an end. */
  readonly isComplete: boolean
  /** Id that the answer names, undefined where it names none. */
  readonly id: string | undefined
  /** The bytes that came, compared with those that belong to the request. */
  readonly isRight: boolean
  readonly bytes: number
}

/** One line of the access log of an outer layer. */
export interface Line {
  readonly id: string
  readonly status: number
  readonly identifier: string | undefined
  readonly error: string | undefined
}

/** An origin may be asked by three attempts with two connections each. */
const MOST_EXECUTIONS = 6
/** What a client may be told besides the answer of the origin. 400 and 408 are its own doing, 429 that of all clients of this machine. */
const REFUSALS = new Set([400, 403, 404, 408, 429, 431, 502, 503, 504])
/** The last moments before a kill, at least: what was going on then may be lost with the process. */
const LAST_WORDS_MS = 3_000
/** A line may come so many times later than the latest one of all others. */
const LATER = 2

interface Entry {
  readonly plan: Plan
  readonly startedMs: number
  endedMs: number
  executions: number
  lines: number
  isServed: boolean
}

/** Keeps one small record for each request, and a list of what was wrong. */
export class Ledger {
  readonly #entries = new Map<string, Entry>()
  readonly #faults: string[] = []
  readonly #kills: Kill[] = []
  /** The longest time from the end of a request, as its client saw it, to its access line: how fast this machine is. */
  #latestMs = 0
  /** Lines that say that an inner layer answered, whose execution has not been seen. */
  readonly #served: string[] = []
  readonly tally = new Map<string, number>()
  faultCount = 0

  constructor(private readonly clock: () => number = () => performance.now()) {}

  /** The first hundred. */
  get faults(): readonly string[] {
    return this.#faults
  }

  get size(): number {
    return this.#entries.size
  }

  /** Requests that came back as whole and right answers of an origin. */
  get served(): number {
    return this.tally.get('served') ?? 0
  }

  fault(what: string): void {
    this.faultCount++
    if (this.#faults.length < 100) this.#faults.push(what)
  }

  /** A process was ended without a chance to say anything. @param writesLines  it is one that writes access lines */
  killed(writesLines: boolean): void {
    this.#kills.push({ atMs: this.clock(), writesLines })
  }

  started(plan: Plan): void {
    this.#entries.set(plan.id, { plan, startedMs: this.clock(), endedMs: Infinity, executions: 0, lines: 0, isServed: false })
  }

  /** An origin has begun to execute a request. */
  executed(id: string, isForbidden = false): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return this.fault(`an origin was asked for ${id}, which nobody asked for`)
    entry.executions++
    if (isForbidden || entry.plan.isForbidden) this.fault(`executed though forbidden: ${say(entry.plan)}`)
    const most = isIdempotent(entry.plan) ? MOST_EXECUTIONS : 1
    if (entry.executions > most) this.fault(`executed ${entry.executions} times: ${say(entry.plan)}`)
  }

  executionsOf(id: string): number {
    return this.#entries.get(id)?.executions ?? 0
  }

  /** The body of a request came whole to an origin, and was not the one that was sent. @param how  what came, in words */
  uploadedWrong(id: string, how: string): void {
    const entry = this.#entries.get(id)
    // Whoever leaves in the middle of a TCP connection ends it in good order, before all its bytes.
    if (entry !== undefined && isPlainTcp(entry.plan) && entry.plan.manner === 'leaves') return
    if (entry === undefined || !this.#wasKilledDuring(entry)) {
      const ageMs = this.clock() - (entry?.startedMs ?? NaN)
      this.fault(`a complete upload with wrong bytes, ${how}, ${Math.round(ageMs)} ms after it began: ${entry ? say(entry.plan) : id}`)
    }
  }

  logged(line: Line): void {
    const entry = this.#entries.get(line.id)
    if (entry === undefined) return
    entry.lines++
    if (entry.endedMs !== Infinity) this.#latestMs = Math.max(this.#latestMs, this.clock() - entry.endedMs)
    if (line.error === undefined && line.identifier !== undefined && line.status >= 200 && line.status < 300) this.#served.push(line.id)
  }

  ended(plan: Plan, seen: Seen): void {
    const entry = this.#entries.get(plan.id)!
    entry.endedMs = this.clock()
    const { status, isComplete, id, isRight, bytes } = seen
    const fault = (what: string): void => this.fault(`${what}: ${say(plan)} → ${status} ${isComplete ? 'complete' : 'cut'} ${bytes} bytes`)
    const isAnswer = status === 200 || status === 101
    if (isAnswer && isComplete) {
      if (id !== undefined && id !== plan.id) fault(`the answer of ${id}`)
      if (plan.isForbidden) fault('answered though forbidden')
      // Where only the end of a connection tells, the kernel ends those of a killed process as if all were well.
      if (!isRight && !(isPlainTcp(plan) && this.#wasKilledDuring(entry))) fault('complete and wrong')
      if (isRight && neverWhole(plan)) fault('complete though its origin never completed it')
      if (isRight && entry.executions === 0) fault('answered though never executed')
      if (isRight) entry.isServed = true
    } else if (isComplete && status !== 0 && !REFUSALS.has(status)) fault('a status that nobody expects')
    const name =
      isAnswer && isComplete && isRight ? 'served' : isComplete && status !== 0 ? String(status) : status === 0 ? 'refused' : 'cut'
    this.tally.set(name, (this.tally.get(name) ?? 0) + 1)
  }

  /** To be called once all is over and all logs are read: each execution has its line, and the reverse. @returns how many were held */
  close(): number {
    for (const entry of this.#entries.values()) {
      if (entry.endedMs === Infinity) this.fault(`never over: ${say(entry.plan)}`)
      if (isPlainTcp(entry.plan) || this.#wasKilledDuring(entry, true)) continue
      if (entry.executions > 0 && entry.lines === 0) this.fault(`executed without an access line: ${say(entry.plan)}`)
      if (entry.isServed && entry.lines !== 1) this.fault(`${entry.lines} access lines: ${say(entry.plan)}`)
    }
    for (const id of this.#served) {
      const entry = this.#entries.get(id)!
      if (entry.executions === 0) this.fault(`the access log says that it was served, and no origin saw it: ${say(entry.plan)}`)
    }
    return this.#entries.size
  }

  #wasKilledDuring({ startedMs, endedMs }: Entry, lostLines = false): boolean {
    const marginMs = Math.max(LAST_WORDS_MS, LATER * this.#latestMs)
    return this.#kills.some(
      ({ atMs, writesLines }) => (writesLines || !lostLines) && atMs >= startedMs - marginMs && atMs <= endedMs + marginMs,
    )
  }
}

interface Kill {
  readonly atMs: number
  readonly writesLines: boolean
}

const neverWhole = ({ kind, mood }: Plan): boolean =>
  (kind === 'http1' || kind === 'http2') && (mood.startsWith('die') || ['never', 'garbage', 'oversize'].includes(mood))

const isPlainTcp = ({ kind }: Plan): boolean => kind === 'tcp' || kind === 'tunnel'

const say = (plan: Plan): string => JSON.stringify(plan)
