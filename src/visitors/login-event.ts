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
  | { readonly kind: 'login-failed'; readonly provider: string; readonly reason: string; readonly address: string }
  | { readonly kind: 'logout'; readonly who: string; readonly isEverywhere: boolean; readonly address: string }
