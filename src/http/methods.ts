/** RFC 9110 §9.2.2, and the registered ones that are safe: the same request twice means the same as once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'QUERY', 'PROPFIND', 'REPORT', 'SEARCH'])

/** May a request with this method be sent again when nothing was answered? */
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method)
