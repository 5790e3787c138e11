/** True when an Accept field prefers or names JSON; a browser, curl and an absent field get text. */
export const acceptsJson = (accept: string | undefined): boolean =>
  accept !== undefined && /(?:^|[,\s])application\/(?:[\w.+-]*\+)?json\s*(?:[,;]|$)/i.test(accept)
