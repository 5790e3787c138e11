import type { ProviderConfig } from '../config.ts'
import type { Person, ProviderSession } from '../session/session.ts'

/** The way to a provider. */
export interface LoginStart {
  /** Where the browser goes. */
  readonly url: string
  /** The facts that have to be known when it comes back; nobody else may see it. */
  readonly secret: string
}

/** Somebody has logged in. */
export interface KnownPerson {
  readonly kind: 'person'
  readonly person: Person
  /** Absent where the provider names none. */
  readonly atProvider?: ProviderSession | undefined
}

/** The outcome of a login. */
export type LoginEnd =
  | KnownPerson
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
  /** The common end of sessions, where there is such a thing. */
  readonly logout?: ProviderLogout
}

/** A message about the end of a session, as a browser has brought it. */
export interface LogoutMessage {
  /** Its page, without a query. */
  readonly url: string
  /** As it came, with `?`; the bytes that were signed. Undefined where it came by a form. */
  readonly query: string | undefined
  /** Of the query or the form; none of those that stand twice. */
  readonly parameters: ReadonlyMap<string, string>
}

/** The content of such a message, once its signature was verified. */
export type LogoutWord =
  /** The provider ends a session. */
  | {
      readonly kind: 'request'
      readonly id: string
      /** By which name the message must not come a second time. */
      readonly use: string
      readonly nameId: string
      /** None: all of this name. */
      readonly indexes: readonly string[]
    }
  /** The provider says whether it has ended one. */
  | { readonly kind: 'answer'; readonly request: string; readonly isDone: boolean }
  /** In words why it does not count. */
  | { readonly kind: 'none'; readonly reason: string }

/** The end of a session at a provider and at all who have it from there (SAML Profiles §4.4). Calls ask the network. */
export interface ProviderLogout {
  /** @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection */
  isOffered(): Promise<boolean>
  /**
   * Where a browser goes to end a session at the provider.
   * @param id     of the request, which the answer names
   * @param state  comes back with it, at most 80 bytes
   * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection; also where the provider ends none
   */
  begin(session: ProviderSession, request: { readonly id: string; readonly state: string }): Promise<string>
  /** @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection */
  read(message: LogoutMessage): Promise<LogoutWord>
  /**
   * Where a browser goes to say that a session has ended here.
   * @returns undefined: the provider wants to hear nothing
   * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection
   */
  confirm(request: string, relayState: string | undefined): Promise<string | undefined>
}

/** The time that a provider has for an answer. */
export const PROVIDER_MS = 10_000
