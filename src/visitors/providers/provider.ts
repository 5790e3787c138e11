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
  | { readonly kind: 'failed'; readonly failure: 'failed' | 'unverified' | 'cancelled' | 'credentials'; readonly reason: string }
  /** Too many have failed. */
  | { readonly kind: 'limited'; readonly waitS: number; readonly reason: string }

/** The way in which a browser comes back. */
export interface LoginReturn {
  /** Where to, with what the provider has put there. */
  readonly url: URL
  /** Fields of the form with which it came; none of those that stand twice. */
  readonly form: ReadonlyMap<string, string>
  /** Of the browser. */
  readonly address: string
}

/** The parts with which a login is begun. */
export interface LoginWish {
  /** Where the provider sends the browser back to. */
  readonly redirectUri: string
  /** Comes back with it. */
  readonly state: string
  /** Ask, even if the provider knows who it is. */
  readonly asksAgain: boolean
  /** The last password was none. */
  readonly wasWrong?: boolean
}

/** Somebody who vouches for visitors. Both calls ask the network. */
export interface Provider {
  readonly config: ProviderConfig
  /** The way in which a browser comes back: with a query, with a form of another site, or with one of ours. */
  readonly comesBackBy: 'query' | 'form' | 'own-form'
  /** Looks whether it can be used, as far as that is known without the network. @throws GatewayError CONFIG_INVALID, as a rejection */
  check?(): Promise<void>
  /** @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection */
  begin(wish: LoginWish): Promise<LoginStart>
  /**
   * @param secret       of the start
   * @param redirectUri  of the start
   * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection
   */
  finish(returned: LoginReturn, secret: string, expected: Pick<LoginWish, 'state' | 'redirectUri'>): Promise<LoginEnd>
  /**
   * Where a browser ends its session at the provider; undefined: the provider does not say.
   * @param returnUri  where the provider sends it back to
   * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection
   */
  endUrl?(returnUri: string): Promise<string | undefined>
  /**
   * The end of a login that nobody has begun here.
   * @returns the person, and by which name the proof must not come a second time
   * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection
   */
  finishUnasked?(returned: LoginReturn, redirectUri: string): Promise<{ readonly end: LoginEnd; readonly id: string }>
}

/** The time that a provider has for an answer. */
export const PROVIDER_MS = 10_000
