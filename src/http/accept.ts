/** True when an Accept field prefers or names JSON; a browser, curl and an absent field get text. */
export const acceptsJson = (accept: string | undefined): boolean =>
  accept !== undefined && /(?:^|[,\s])application\/(?:[\w.+-]*\+)?json\s*(?:[,;]|$)/i.test(accept)

/** True when an Accept field names HTML: a browser that goes to a page. */
export const acceptsHtml = (accept: string | undefined): boolean =>
  accept !== undefined && /(?:^|[,\s])text\/html\s*(?:[,;]|$)/i.test(accept)
