/** The path of a request target, percent-decoded and without its query; undefined when it is none. */
export function pathOf(target: string): string | undefined {
  const path = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?(\/[^?#]*)/i.exec(target)?.[1]
  if (path === undefined) return undefined
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

/** Without double slashes and dots, as Go's ServeMux redirects to; `/tunnel` is `/tunnel/`. */
export function cleanPath(path: string): string {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  const joined = `/${segments.join('/')}`
  return joined === '/tunnel' || (path.endsWith('/') && joined !== '/') ? `${joined}/` : joined
}
