/** The first release of nghttp2 without the fault. */
const MENDED = [1, 68, 1] as const

/**
 * Why HTTP/2 must not be offered to strangers on this Node.js; undefined where it may be. Before 1.68.1, frames that come behind the end of a
 * session, such as GOAWAY, HEADERS and a WINDOW_UPDATE of 36 bytes, abort the process (CVE-2026-27135): an assertion, which nothing catches.
 * @param nghttp2  as `process.versions.nghttp2` has it
 */
export function faultOfHttp2(nghttp2: string): string | undefined {
  const parts = nghttp2.split('.').map(Number)
  for (const [i, mended] of MENDED.entries()) {
    const part = parts[i] ?? 0
    if (part > mended) return undefined
    if (part < mended) {
      return `a few bytes of any client can end the process by way of nghttp2 ${nghttp2}, which this Node.js has (CVE-2026-27135); take a Node.js with nghttp2 ${MENDED.join('.')} or newer, such as the newest release of Node.js 24`
    }
  }
  return undefined
}
