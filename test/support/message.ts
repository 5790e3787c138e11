/** Raw messages for tests: what is written here is what goes out, byte for byte (latin-1). */

/** A head of these lines, ended by an empty one. */
export const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`

/** A GET of `target` at a.test with these lines, on a connection that is kept. */
export const get = (target: string, ...lines: readonly string[]): string => head(`GET ${target} HTTP/1.1`, 'Host: a.test', ...lines)

/** The same, as the last request of its connection. */
export const lastGet = (target: string, ...lines: readonly string[]): string => get(target, ...lines, 'Connection: close')

/** `parts` in the chunked coding, with its last chunk and these trailer lines. */
export const chunked = (parts: readonly string[], ...trailers: readonly string[]): string =>
  `${parts.map(part => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n${trailers.map(line => `${line}\r\n`).join('')}\r\n`
