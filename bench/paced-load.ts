/** So many small requests each second, whatever becomes of them: what fails is counted, and told why. */
import { Agent, get } from 'node:http'
import { Agent as TlsAgent, get as getTls } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { Target } from './load.ts'
import { percentile } from './stats.ts'

const TICK_MS = 5
const TIMEOUT_MS = 30_000
const CONNECTIONS = 32
/** So many wait for an answer or for a connection at most: what would come beyond is a failure, and takes no memory. */
const MAX_UNDER_WAY = 20_000
/** Times of what is begun before are not told: connections are opened then. */
const WARM_UP_MS = 500
/** Kinds of failures that are told. */
const MAX_REASONS = 10

/** What became of the requests. */
export interface PacedResult {
  readonly requests: number
  /** All that were no 200 with its whole body. */
  readonly failed: number
  /** Why, and how often. */
  readonly reasons: Readonly<Record<string, number>>
  readonly p50Us: number
  readonly p99Us: number
  readonly mostUs: number
}

/** A load that goes on until it is ended. Connections are kept, as those of a proxy or a browser are. */
export class PacedLoad {
  readonly #agent: Agent
  readonly #timesUs: number[] = []
  readonly #reasons = new Map<string, number>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  readonly #timedFromMs = performance.now() + WARM_UP_MS
  #begun = 0
  #failed = 0

  constructor(
    private readonly target: Target,
    perSecond: number,
    private readonly isTls = false,
  ) {
    const options = { keepAlive: true, maxSockets: CONNECTIONS }
    // One context for all: making one reads every authority that Node.js knows, which takes longer than what is measured.
    const tlsOptions = { rejectUnauthorized: false, secureContext: createSecureContext() }
    this.#agent = isTls ? new TlsAgent({ ...options, ...tlsOptions }) : new Agent(options)
    const start = performance.now()
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - start) / 1_000) * perSecond)
      while (this.#begun < due) this.#ask()
    }, TICK_MS)
  }

  /** Asks no more; resolves when the last answer is there. */
  async end(): Promise<PacedResult> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    this.#agent.destroy()
    const times = this.#timesUs
    return {
      requests: this.#begun,
      failed: this.#failed,
      reasons: Object.fromEntries([...this.#reasons].slice(0, MAX_REASONS)),
      p50Us: percentile(times, 0.5),
      p99Us: percentile(times, 0.99),
      mostUs: times.reduce((most, time) => Math.max(most, time), 0),
    }
  }

  #ask(): void {
    this.#begun++
    if (this.#underWay.size >= MAX_UNDER_WAY) return this.#fail(`${MAX_UNDER_WAY} requests wait already`)
    const begun = performance.now()
    const done = this.#answer().then(
      () => {
        if (begun >= this.#timedFromMs) this.#timesUs.push((performance.now() - begun) * 1_000)
      },
      (error: unknown) => this.#fail((error as Error).message),
    )
    this.#underWay.add(done)
    void done.then(() => this.#underWay.delete(done))
  }

  #fail(reason: string): void {
    this.#failed++
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1)
  }

  #answer(): Promise<void> {
    const { port, host, path } = this.target
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, headers: { Host: host }, agent: this.#agent, timeout: TIMEOUT_MS }
      const request = (this.isTls ? getTls : get)(options, response => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode ?? 0}`))
        response.resume().on('end', resolve)
        response.on('error', reject)
      })
      request.on('timeout', () => void request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
      request.on('error', reject)
    })
  }
}
