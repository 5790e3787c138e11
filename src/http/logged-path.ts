/**
 * Returns the part of a request target that may be logged: its path. The query and the fragment are where people put tokens, and an
 * absolute form may carry a password.
 * @param target  as it came, in whatever form
 */
export function loggedPath(target: string): string {
  const path = target.charCodeAt(0) === 0x2f ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  const end = path.search(/[?#]/)
  return end < 0 ? path : path.slice(0, end)
}
