import { createHash, randomBytes, randomInt } from 'node:crypto'
import type { Peers } from '../../peers/peers.ts'

/** The time that somebody has for the login, seconds. */
export const DEVICE_SECONDS = 600
/** Requests that are open at once: each has a place in memory. */
const MAX_REQUESTS = 5_000
/** RFC 8628 §6.1: no vowels, so that it spells nothing, and no letters that look like others. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'
const LETTERS_OF_CODE = 8

/** An unknown code may be one of another process that has not been heard of yet, for so long, milliseconds. */
const ARRIVAL_MS = 1_000
/** Of what processes tell each other. */
const TOPIC = 'device'

/** A program that waits for the login of its user. */
export interface DeviceRequest {
  /** The code that people compare, and may type: eight letters with a hyphen in the middle. */
  readonly userCode: string
  /** HOST:PORT of the tunnels that it wants to open. */
  readonly tunnels: readonly string[]
  /** The address of the program. */
  readonly address: string
  /** Host of the gateway that the program will send the token to, as it says. */
  readonly gateway: string | undefined
}

/** The token that the program gets, and for how long it is good. */
export interface DeviceResult {
  readonly token: string
  readonly expiresMs: number
}

/** The answer to a program that asks: RFC 8628 §3.5. */
export type DevicePoll = DeviceResult | 'authorization_pending' | 'access_denied' | 'expired_token'

interface Kept extends DeviceRequest {
  readonly expiresMs: number
  readonly key: string
  result: DeviceResult | 'access_denied' | undefined
  /** Lets the program go that waits for the result. */
  wake: (() => void) | undefined
}

/**
 * Programs that wait for a login: kept in memory, and forgotten after ten minutes. All processes of one outer layer know of all of them, so that a program may
 * ask at one, and its user say yes at another.
 */
export class DeviceRequests {
  /** In the order in which they end. */
  readonly #byDevice = new Map<string, Kept>()
  readonly #byUser = new Map<string, Kept>()

  /** Lets those go who ask for what has not been heard of yet. */
  readonly #arrivals = new Map<string, Set<() => void>>()

  /** @param clock  ms since 1970 @param peers  processes that have the same requests; undefined: this one is alone */
  constructor(
    private readonly clock: () => number,
    private readonly peers?: Peers,
  ) {
    peers?.hear(TOPIC, message => this.#heard(message))
    peers?.greet(tell => {
      for (const kept of this.#byDevice.values()) tell(TOPIC, changeOf(kept))
    })
  }

  /** @returns the secret of the program; undefined when too many are waiting */
  begin(wanted: Omit<DeviceRequest, 'userCode'>): { readonly deviceCode: string; readonly request: DeviceRequest } | undefined {
    this.#forget()
    if (this.#byDevice.size >= MAX_REQUESTS) return undefined
    const deviceCode = randomBytes(32).toString('base64url')
    const key = keyOf(deviceCode)
    let userCode = mintUserCode()
    while (this.#byUser.has(userCode)) userCode = mintUserCode()
    const expiresMs = this.clock() + DEVICE_SECONDS * 1_000
    const kept: Kept = { ...wanted, userCode, expiresMs, key, result: undefined, wake: undefined }
    this.#add(kept)
    this.peers?.tell(TOPIC, changeOf(kept))
    return { deviceCode, request: kept }
  }

  /** The request with a code that nobody has decided on. @param userCode  as `readUserCode` gives it */
  find(userCode: string): DeviceRequest | undefined {
    this.#forget()
    const kept = this.#byUser.get(userCode)
    return kept?.result === undefined ? kept : undefined
  }

  /** Decides on a request, once. */
  decide(userCode: string, result: DeviceResult | 'access_denied'): void {
    const kept = this.#byUser.get(userCode)
    if (kept === undefined || kept.result !== undefined) return
    kept.result = result
    kept.wake?.()
    this.peers?.tell(TOPIC, changeOf(kept))
  }

  /**
   * The decision for a program; a token is given once.
   * @param waitMs  how long to wait for a decision that is not there yet
   */
  async poll(deviceCode: string, waitMs: number): Promise<DevicePoll> {
    this.#forget()
    const key = keyOf(deviceCode)
    // Begun at another process a moment ago.
    if (this.peers !== undefined && !this.#byDevice.has(key)) await this.#arrival(key)
    const kept = this.#byDevice.get(key)
    if (kept === undefined) return 'expired_token'
    if (kept.result === undefined && waitMs > 0) await wait(kept, waitMs)
    const { result } = kept
    if (result === undefined) return 'authorization_pending'
    // Whoever asks twice at once gets it once.
    if (!this.#byDevice.has(kept.key)) return 'expired_token'
    this.#remove(kept)
    this.peers?.tell(TOPIC, { over: kept.key })
    return result
  }

  #add(kept: Kept): void {
    this.#byDevice.set(kept.key, kept)
    this.#byUser.set(kept.userCode, kept)
    for (const arrived of this.#arrivals.get(kept.key) ?? []) arrived()
  }

  /** Resolves when a request has been heard of, or has not been for a second. */
  #arrival(key: string): Promise<void> {
    return new Promise(resolve => {
      const waiting = this.#arrivals.get(key) ?? new Set()
      const done = (): void => {
        clearTimeout(timer)
        waiting.delete(done)
        if (waiting.size === 0) this.#arrivals.delete(key)
        resolve()
      }
      const timer = setTimeout(done, ARRIVAL_MS).unref()
      this.#arrivals.set(key, waiting.add(done))
    })
  }

  /** Another process has begun one, has decided on it, or has given its token to the program. */
  #heard(message: unknown): void {
    const { over, request } = (message ?? {}) as Partial<Record<string, unknown>>
    if (typeof over === 'string') {
      const kept = this.#byDevice.get(over)
      if (kept !== undefined) this.#remove(kept)
      return
    }
    const heard = readChange(request)
    if (heard === undefined) return
    this.#forget()
    const known = this.#byDevice.get(heard.key)
    if (known === undefined) {
      if (this.#byDevice.size >= MAX_REQUESTS || this.#byUser.has(heard.userCode)) return
      // The clock of the other one may be ahead: those in front must not hold up the others.
      this.#add({ ...heard, expiresMs: Math.min(heard.expiresMs, this.clock() + DEVICE_SECONDS * 1_000) })
    } else if (known.result === undefined && heard.result !== undefined) {
      known.result = heard.result
      known.wake?.()
    }
  }

  #forget(): void {
    const now = this.clock()
    for (const kept of this.#byDevice.values()) {
      if (kept.expiresMs > now) return
      this.#remove(kept)
    }
  }

  #remove(kept: Kept): void {
    this.#byDevice.delete(kept.key)
    this.#byUser.delete(kept.userCode)
    kept.wake?.()
  }
}

/** A program that asks anew takes the place of the one that waits. */
function wait(kept: Kept, waitMs: number): Promise<void> {
  kept.wake?.()
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      if (kept.wake === done) kept.wake = undefined
      resolve()
    }
    const timer = setTimeout(done, waitMs)
    timer.unref()
    kept.wake = done
  })
}

const changeOf = ({ wake: _wake, ...request }: Kept): { readonly request: Omit<Kept, 'wake'> } => ({ request })

const isText = (value: unknown): value is string => typeof value === 'string'

/** A request as another process has told of it; undefined for what is none. */
function readChange(value: unknown): Kept | undefined {
  const { key, userCode, tunnels, address, gateway, expiresMs, result } = (value ?? {}) as Partial<Record<string, unknown>>
  if (!isText(key) || !isText(userCode) || !isText(address) || typeof expiresMs !== 'number') return undefined
  if (!Array.isArray(tunnels) || !tunnels.every(isText)) return undefined
  const { token, expiresMs: untilMs } = (result ?? {}) as Partial<Record<string, unknown>>
  const decided =
    result === 'access_denied' ? result : isText(token) && typeof untilMs === 'number' ? { token, expiresMs: untilMs } : undefined
  return { key, userCode, tunnels, address, gateway: isText(gateway) ? gateway : undefined, expiresMs, result: decided, wake: undefined }
}

/** Nothing of the secret can be told from how long a look-up takes. */
const keyOf = (deviceCode: string): string => createHash('sha256').update(deviceCode).digest('base64url')

function mintUserCode(): string {
  let code = ''
  for (let i = 0; i < LETTERS_OF_CODE; i++) code += LETTERS[randomInt(LETTERS.length)]!
  return shown(code)
}

const shown = (letters: string): string => `${letters.slice(0, LETTERS_OF_CODE / 2)}-${letters.slice(LETTERS_OF_CODE / 2)}`

/** The code as it is kept, however somebody has typed it; undefined for what is none. */
export function readUserCode(text: string): string | undefined {
  const letters = text
    .slice(0, 40)
    .toUpperCase()
    .replace(/[^A-Z]/g, '')
  return letters.length === LETTERS_OF_CODE ? shown(letters) : undefined
}
