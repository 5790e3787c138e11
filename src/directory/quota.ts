import { GatewayError } from '../errors.ts'
import type { Metered } from '../route/target.ts'
import type { AccountQuota } from './directory.ts'

const DAY_MS = 86_400_000

/** The days since 1970, by UTC. */
export const dayOf = (nowMs: number): number => Math.floor(nowMs / DAY_MS)

/** Something under way, and the bytes of it that are counted already. */
interface Open {
  readonly metered: Metered
  seen: number
  /** Those of the days before. */
  before: number
}

/**
 * The bytes that one account may still move today: what is over is counted when it ends, what is under way each time that somebody asks for the use.
 * What the service says of this day counts where it is more than what was counted here: another outer layer may serve the account, and this one may be new.
 */
export class Quota {
  #bytesPerDay = 0
  #day = 0
  #used = 0
  /** Bytes of the days before in what is about to be counted whole. */
  #before = 0
  readonly #open = new Set<Open>()

  /** @param nowMs  milliseconds since 1970 */
  constructor(
    readonly accountId: string,
    private readonly nowMs: () => number,
  ) {}

  /** As a message of the service says it. */
  get told(): AccountQuota {
    this.#roll(dayOf(this.nowMs()))
    return { accountId: this.accountId, bytesPerDay: this.#bytesPerDay, day: this.#day, used: this.#used }
  }

  get isSet(): boolean {
    return this.#bytesPerDay > 0
  }

  set({ bytesPerDay, day, used }: AccountQuota): void {
    this.#bytesPerDay = bytesPerDay
    this.#roll(dayOf(this.nowMs()))
    if (day === this.#day) this.#used = Math.max(this.#used, used)
  }

  /** Counts something that is over, all of it. */
  count(bytes: number): void {
    this.#roll(dayOf(this.nowMs()))
    this.#used += Math.max(0, bytes - this.#before)
    this.#before = 0
  }

  /** @throws GatewayError QUOTA_REACHED when nothing is left of this day */
  check(): void {
    if (!this.isSet) return
    const now = this.nowMs()
    this.#roll(dayOf(now))
    if (this.#used < this.#bytesPerDay) return
    const seconds = Math.ceil(((this.#day + 1) * DAY_MS - now) / 1_000)
    throw new GatewayError('QUOTA_REACHED', this.#reason, { fields: ['Retry-After', String(seconds)] })
  }

  /** Counts something while it is under way. @returns to be called before all of it is counted */
  follow(metered: Metered): () => void {
    const open = { metered, seen: 0, before: 0 }
    this.#open.add(open)
    return () => {
      this.#roll(dayOf(this.nowMs()))
      this.#open.delete(open)
      this.#used = Math.max(0, this.#used - (open.seen - open.before))
      this.#before = open.before
    }
  }

  /** Counts what is under way, and ends it where nothing is left. */
  look(): void {
    this.#roll(dayOf(this.nowMs()))
    for (const open of this.#open) {
      const bytes = open.metered.bytes()
      this.#used += bytes - open.seen
      open.seen = bytes
    }
    if (this.isSet && this.#used >= this.#bytesPerDay) for (const { metered } of [...this.#open]) metered.end('QUOTA_REACHED', this.#reason)
  }

  get #reason(): string {
    return `${this.#bytesPerDay} bytes of this day are used up`
  }

  #roll(day: number): void {
    if (day === this.#day) return
    this.#day = day
    this.#used = 0
    // What was under way at midnight counts from there.
    for (const open of this.#open) open.seen = open.before = open.metered.bytes()
  }
}
