import type { Express } from 'express'

/** Is this process of use? In words. */
export interface Readiness {
  /** Why nothing can be served; empty when something can. */
  readonly reasons: readonly string[]
  /** Faults beside which everything else is served. */
  readonly degraded: readonly string[]
}

/**
 * The two pages for probes: `/healthz` is 200 while the process answers, `/readyz` 200 when it is of use, else 503 with the reasons. What is
 * wrong beside that is `degraded`, for people and alerts: a balancer that took the process away for it would turn a small fault into an
 * outage. `/readyz?strict` is 503 for that as well. The same on the socket port and on the admin port.
 */
export function healthPages(app: Express, readiness: () => Readiness): void {
  app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }))
  app.get('/readyz', (req, res) => {
    const { reasons, degraded } = readiness()
    const isReady = reasons.length === 0 && (degraded.length === 0 || !('strict' in req.query))
    const status = isReady ? 'ready' : 'not ready'
    res.status(isReady ? 200 : 503).json({ status, reasons, ...(degraded.length > 0 && { degraded }) })
  })
}
