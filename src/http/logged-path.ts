/** Tokens of the service begin so, whatever they are for; a link in a letter has one in its path. */
const TOKEN = /\/(sg[a-z])_[\w-]{43}/g

/**
 * Returns the part of a request target that may be logged: its path. The query and the fragment are where people put tokens, and an
 * absolute form may carry a password. Of tokens of the service their kind is left.
 * @param target  as it came, in whatever form
 */
export function loggedPath(target: string): string {
  const path = target.charCodeAt(0) === 0x2f ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  const end = path.search(/[?#]/)
  const shown = end < 0 ? path : path.slice(0, end)
  return shown.includes('/sg') ? shown.replace(TOKEN, '/$1_***') : shown
}
