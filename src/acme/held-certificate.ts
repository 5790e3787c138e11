import { lifetimeOf, renewAtMs, type Lifetime, type RenewalWindow } from './renewal.ts'

/** Between two questions when to renew, milliseconds; authorities ask for six hours. */
const ASK_MS = 6 * 3_600_000
const SHORTEST_ASK_MS = 60_000
const LONGEST_ASK_MS = 86_400_000

/** A certificate that is in force, and when it is to be renewed. */
export class HeldCertificate {
  readonly lifetime: Lifetime
  /** The same share of each window, so that asking again does not move it to and fro. */
  readonly #share = Math.random()
  #window: RenewalWindow | undefined
  #nextAskMs = 0

  /** @param cert  PEM, with its chain */
  constructor(readonly cert: string) {
    this.lifetime = lifetimeOf(cert)
  }

  /** Is there time to renew it later? */
  isFresh(nowMs: number): boolean {
    return nowMs < renewAtMs(this.lifetime, this.#window, this.#share)
  }

  /** May its authority be asked when to renew? The next question comes hours later. */
  mayAsk(nowMs: number): boolean {
    if (nowMs < this.#nextAskMs) return false
    this.#nextAskMs = nowMs + ASK_MS
    return true
  }

  /** The authority has said it; undefined: it says nothing. */
  answered(window: (RenewalWindow & { readonly retryAfterMs: number | undefined }) | undefined, nowMs: number): void {
    this.#window = window
    const { retryAfterMs = ASK_MS } = window ?? {}
    this.#nextAskMs = nowMs + Math.min(LONGEST_ASK_MS, Math.max(SHORTEST_ASK_MS, retryAfterMs))
  }
}
