import type { IncomingMessage, ServerResponse } from 'node:http'

/** Is this process of use? In words. */
export interface Readiness {
  /** Why nothing can be served; empty when something can. */
  readonly reasons: readonly string[]
  /** Faults beside which everything else is served. */
  readonly degraded: readonly string[]
}

/**
 * Answers the two pages for probes: `/healthz` is 200 while the process answers, `/readyz` 200 when it is of use, else 503 with the reasons. What
 * is wrong beside that is `degraded`, for people and alerts: a balancer that took the process away for it would turn a small fault into an
 * outage. `/readyz?strict` is 503 for that as well. The same on the socket port and on the admin port.
 * @returns false for every other request, which is not answered
 */
export function answerProbe(request: IncomingMessage, response: ServerResponse, readiness: () => Readiness): boolean {
  const { method, url = '' } = request
  if (method !== 'GET' && method !== 'HEAD') return false
  const [path = '', query = ''] = url.split('?', 2)
  if (isPage(path, '/healthz')) {
    answer(response, 200, { status: 'ok' })
    return true
  }
  if (!isPage(path, '/readyz')) return false
  const { reasons, degraded } = readiness()
  const isReady = reasons.length === 0 && (degraded.length === 0 || !new URLSearchParams(query).has('strict'))
  const status = isReady ? 'ready' : 'not ready'
  answer(response, isReady ? 200 : 503, { status, reasons, ...(degraded.length > 0 && { degraded }) })
  return true
}

const isPage = (path: string, page: string): boolean => path === page || path === `${page}/`

function answer(response: ServerResponse, status: number, value: object): void {
  const body = JSON.stringify(value)
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(body) }).end(body)
}
