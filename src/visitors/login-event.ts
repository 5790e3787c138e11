/** Something that happened to a visitor, for the log and the audit. Never a token. */
export type LoginEvent =
  | { readonly kind: 'login'; readonly provider: string; readonly who: string; readonly address: string }
  | {
      readonly kind: 'device'
      readonly provider: string
      readonly who: string
      /** Of the browser. */
      readonly address: string
      /** The address of the program. */
      readonly program: string
      readonly tunnels: readonly string[]
      readonly isAllowed: boolean
    }
  /** Somebody has come in at a socket of the service by a login: once a day for each session. */
  | {
      readonly kind: 'socket-login'
      readonly socketId: string
      readonly provider: string
      readonly who: string
      /** With a browser, or with a program of theirs. */
      readonly by: 'browser' | 'program'
      readonly address: string
    }
  | { readonly kind: 'login-failed'; readonly provider: string; readonly reason: string; readonly address: string }
  /** A program has come in by a token, or somebody by a share link: once an hour for each address. */
  | {
      readonly kind: 'token-used' | 'share-used'
      readonly id: string
      readonly who: string
      readonly target: string
      readonly address: string
      /** Of a link that the owner of this socket has made, such a one that may be used so often, each time. */
      readonly socketId?: string
      readonly by?: 'browser' | 'program'
    }
  /** A token or link that is none, or no longer. */
  | { readonly kind: 'refused'; readonly reason: string; readonly address: string }
  /** A message about a logout does not count, or a provider has not logged out. */
  | { readonly kind: 'logout-failed'; readonly provider: string; readonly reason: string; readonly address: string }
  | { readonly kind: 'logout'; readonly who: string; readonly isEverywhere: boolean; readonly address: string }
