import { messageOf } from '../errors.ts'
import { NO_BODY, type RequestHead } from '../http/message.ts'
import { MAX_HEALTH_CHECKS, type HealthCheck } from '../payload/health-note.ts'
import type { OriginProfile } from '../payload/origin-profile.ts'
import { originFailure } from './origin-failure.ts'
import type { OriginCall, OriginDrivers, OriginEvents } from './origin-exchange.ts'

/** Shortest time between two questions to one origin, whatever an outer layer asks for, milliseconds. */
const MIN_INTERVAL_MS = 250
/** Questions at a time; others wait for the next turn of their timer. */
const MAX_AT_ONCE = 32
/** Different checks of all sessions. */
const MAX_PROBES = 2_000

/** Told of a check that was wanted: `reason` says why it is not healthy. */
export type OnHealth = (number: number, isHealthy: boolean, reason: string) => void

/** Told of an origin that is well, or is not, as often as that changes. */
export type OnTurn = (check: HealthCheck, isHealthy: boolean, reason: string) => void

/** The checks that one session asks for. */
export interface HealthWatch {
  /** @param isFirst  instead of all that was wanted before */
  want(checks: readonly HealthCheck[], isFirst: boolean, profileOf: (number: number) => OriginProfile | undefined): void
  close(): void
}

/** Asks origins whether they are well: once for all sessions that want to know the same. */
export class HealthChecks {
  readonly #probes = new Map<string, Probe>()
  readonly #turns = { active: 0 }

  /** @param random  0 … 1: checks of many inner layers must not fall into step @param onTurn  told of each origin once, whoever wants to know */
  constructor(
    private readonly drivers: Pick<OriginDrivers, 'http1' | 'http2'>,
    private readonly random: () => number,
    private readonly onTurn: OnTurn = () => undefined,
  ) {}

  /** Origins that are asked at the moment. */
  get count(): number {
    return this.#probes.size
  }

  /** Starts a watch for one session; close it with the session. */
  watch(onHealth: OnHealth): HealthWatch {
    const wanted = new Map<Probe, Map<number, Listener>>()
    const drop = (): void => {
      for (const [probe, listeners] of wanted) for (const listener of listeners.values()) this.#leave(probe, listener)
      wanted.clear()
    }
    return {
      want: (checks, isFirst, profileOf) => {
        const before = isFirst ? [...wanted] : []
        if (isFirst) wanted.clear()
        let count = [...wanted.values()].reduce((sum, listeners) => sum + listeners.size, 0)
        for (const check of checks) {
          if (++count > MAX_HEALTH_CHECKS) break
          const probe = this.#probeOf(check, profileOf(check.profile))
          if (probe === undefined) continue
          const listener: Listener = (isHealthy, reason) => onHealth(check.number, isHealthy, reason)
          let listeners = wanted.get(probe)
          if (listeners === undefined) wanted.set(probe, (listeners = new Map<number, Listener>()))
          listeners.set(check.number, listener)
          probe.join(listener)
        }
        // After the new ones have joined: what both want goes on with what is known of it.
        for (const [probe, listeners] of before) for (const listener of listeners.values()) this.#leave(probe, listener)
      },
      close: drop,
    }
  }

  /** Asks nobody any more. */
  close(): void {
    for (const probe of this.#probes.values()) probe.stop()
    this.#probes.clear()
  }

  #probeOf(check: HealthCheck, profile: OriginProfile | undefined): Probe | undefined {
    const { number: _number, profile: _profile, ...facts } = check
    const key = JSON.stringify([facts, profile ?? null])
    const known = this.#probes.get(key)
    if (known !== undefined) return known
    if (this.#probes.size >= MAX_PROBES) return undefined
    const probe = new Probe(key, check, profile, this.drivers, this.#turns, this.random, this.onTurn)
    this.#probes.set(key, probe)
    return probe
  }

  #leave(probe: Probe, listener: Listener): void {
    if (probe.leave(listener) > 0) return
    probe.stop()
    this.#probes.delete(probe.key)
  }
}

type Listener = (isHealthy: boolean, reason: string) => void

/** One origin, asked again and again. */
class Probe {
  readonly #listeners = new Set<Listener>()
  readonly #head: RequestHead
  #timer: NodeJS.Timeout | undefined
  #call: OriginCall | undefined
  /** Undefined: nothing is known yet. */
  #isHealthy: boolean | undefined
  #reason = ''
  /** Answers in a row that contradict `#isHealthy`. */
  #streak = 0
  #isStopped = false

  constructor(
    readonly key: string,
    private readonly check: HealthCheck,
    private readonly profile: OriginProfile | undefined,
    private readonly drivers: Pick<OriginDrivers, 'http1' | 'http2'>,
    private readonly turns: { active: number },
    private readonly random: () => number,
    private readonly onTurn: OnTurn,
  ) {
    const { protocol, hostname, port, host, path } = check
    this.#head = {
      protocol,
      hostname,
      port,
      method: 'GET',
      path,
      host,
      body: NO_BODY,
      expectsContinue: false,
      upgrade: '',
      profile: check.profile,
      fields: ['User-Agent', 'socket-gateway health check', 'Accept', '*/*'],
    }
  }

  join(listener: Listener): void {
    this.#listeners.add(listener)
    if (this.#isHealthy !== undefined) listener(this.#isHealthy, this.#reason)
    if (this.#timer === undefined) this.#wait(Math.min(1_000, this.check.intervalMs) * this.random())
  }

  /** @returns listeners that are left */
  leave(listener: Listener): number {
    this.#listeners.delete(listener)
    return this.#listeners.size
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#call?.abort()
    this.#listeners.clear()
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#ask(), ms).unref()
  }

  #ask(): void {
    if (this.#isStopped) return
    const intervalMs = Math.max(MIN_INTERVAL_MS, this.check.intervalMs)
    if (this.turns.active >= MAX_AT_ONCE) return this.#wait(intervalMs * this.random())
    this.turns.active++
    let isOver = false
    const over = (reason: string): void => {
      if (isOver) return
      isOver = true
      this.turns.active--
      clearTimeout(deadline)
      this.#call?.abort()
      this.#call = undefined
      if (this.#isStopped) return
      this.#learn(reason)
      this.#wait(intervalMs * (0.9 + 0.2 * this.random()))
    }
    const deadline = setTimeout(() => over(`no answer within ${this.check.timeoutMs} ms`), this.check.timeoutMs)
    const events: OriginEvents = {
      interim: () => undefined,
      head: status => over(status >= 200 && status < 400 ? '' : `status ${status}`),
      switched: (_reason, _fields, socket) => {
        socket.destroy()
        over('a switch of protocols that nobody asked for')
      },
      data: () => true,
      end: () => undefined,
      failed: thrown => over(originFailure(thrown).message),
    }
    try {
      const request = { head: this.#head, profile: this.profile, body: null, isAlone: true }
      const call = this.profile?.http2 === true ? this.drivers.http2(request, events) : this.drivers.http1(request, events)
      // The answer may have come before the call was known here.
      if (isOver || this.#isStopped) call.abort()
      else this.#call = call
    } catch (thrown) {
      over(messageOf(thrown))
    }
    if (this.#isStopped) over('')
  }

  #learn(reason: string): void {
    const isGood = reason === ''
    if (this.#isHealthy === undefined) return this.#tell(isGood, reason)
    if (isGood === this.#isHealthy) {
      this.#streak = 0
      return
    }
    this.#streak++
    if (this.#streak >= (isGood ? this.check.healthy : this.check.unhealthy)) this.#tell(isGood, reason)
  }

  #tell(isHealthy: boolean, reason: string): void {
    this.#streak = 0
    this.#isHealthy = isHealthy
    this.#reason = reason
    const own: Listener = (...turn) => this.onTurn(this.check, ...turn)
    for (const listener of [own, ...this.#listeners]) {
      try {
        listener(isHealthy, reason)
      } catch {
        // A session that cannot be told must not end the others, nor the process.
      }
    }
  }
}
