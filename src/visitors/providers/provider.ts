import type { ProviderConfig } from '../config.ts'
import type { Person } from '../session/session.ts'

/** The way to a provider. */
export interface LoginStart {
  /** Where the browser goes. */
  readonly url: string
  /** The facts that have to be known when it comes back; nobody else may see it. */
  readonly secret: string
}

/** The outcome of a login. */
export type LoginEnd =
  | { readonly kind: 'person'; readonly person: Person }
  | { readonly kind: 'failed'; readonly failure: 'failed' | 'unverified' | 'cancelled'; readonly reason: string }

/** The parts with which a login is begun. */
export interface LoginWish {
  /** Where the provider sends the browser back to. */
  readonly redirectUri: string
  /** Comes back with it. */
  readonly state: string
  /** Ask, even if the provider knows who it is. */
  readonly asksAgain: boolean
}

/** Somebody who vouches for visitors. Both calls ask the network. */
export interface Provider {
  readonly config: ProviderConfig
  /** The way in which it sends a browser back: with a query, or with a form. */
  readonly comesBackBy: 'query' | 'form'
  /** Looks whether it can be used, as far as that is known without the network. @throws GatewayError CONFIG_INVALID, as a rejection */
  check?(): Promise<void>
  /** @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection */
  begin(wish: LoginWish): Promise<LoginStart>
  /**
   * @param returned     the URL at which the browser came back, with what the provider has put there; of a form, with its fields
   * @param secret       of the start
   * @param redirectUri  of the start
   * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection
   */
  finish(returned: URL, secret: string, expected: Pick<LoginWish, 'state' | 'redirectUri'>): Promise<LoginEnd>
  /**
   * The end of a login that nobody has begun here.
   * @returns the person, and by which name the proof must not come a second time
   * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection
   */
  finishUnasked?(returned: URL, redirectUri: string): Promise<{ readonly end: LoginEnd; readonly id: string }>
}

/** The time that a provider has for an answer. */
export const PROVIDER_MS = 10_000
