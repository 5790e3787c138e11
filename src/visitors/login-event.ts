/** Something that happened to a visitor, for the log and the audit. Never a token. */
export type LoginEvent =
  | { readonly kind: 'login'; readonly provider: string; readonly who: string; readonly address: string }
  | { readonly kind: 'login-failed'; readonly provider: string; readonly reason: string; readonly address: string }
  | { readonly kind: 'logout'; readonly who: string; readonly isEverywhere: boolean; readonly address: string }
