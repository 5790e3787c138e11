import type { Express } from 'express'

/** Why this process is not ready, in words; empty when it is. */
export type Faults = () => readonly string[]

/**
 * The two pages for probes: `/healthz` is 200 while the process answers, `/readyz` 200 when it is of use, else 503 with the reasons. The
 * same on the socket port and on the admin port.
 */
export function healthPages(app: Express, faults: Faults): void {
  app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }))
  app.get('/readyz', (_req, res) => {
    const reasons = faults()
    res.status(reasons.length === 0 ? 200 : 503).json({ status: reasons.length === 0 ? 'ready' : 'not ready', reasons })
  })
}
