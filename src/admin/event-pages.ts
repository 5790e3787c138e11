import type { Express, Response } from 'express'
import { EVENTS, SEVERITIES, STATES } from '../events/catalogue.ts'
import type { EventBook } from '../events/event-book.ts'
import type { GatewayEvent } from '../events/event.ts'
import { GatewayError } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { readEventQuery, type AskedFor } from './event-query.ts'

/** Between two empty lines of a stream, so that whoever is between keeps it open. */
const KEEP_ALIVE_MS = 15_000
/** A reader that is so far behind is cut; it may come again with the last id that it has. */
const MAX_BEHIND_BYTES = 1_048_576

/** Adds the events: a list with cursors, a stream of lines, and what there is at all. */
export function eventPages(app: Express, book: EventBook): void {
  app.get('/events/catalogue', (_req, res) => void res.json({ severities: SEVERITIES, events: EVENTS, states: STATES }))
  app.get('/events', (req, res) => {
    let query: AskedFor
    try {
      query = readEventQuery(req.query)
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown
      return void res.status(400).json({ error: { code: thrown.code, message: thrown.message } })
    }
    if (query.isLive) return streamEvents(res, book, query)
    const { after } = query
    res.json({ ...book.list(query), ...(after !== undefined && { isIncomplete: book.hasLost(after) }) })
  })
}

/** Sends what came after a place, then each event as it happens, one JSON object a line. */
function streamEvents(res: Response, book: EventBook, { after, fits }: AskedFor): void {
  res.status(200).setHeader('Content-Type', 'application/x-ndjson; charset=utf-8')
  res.setHeader('X-Accel-Buffering', 'no') // nginx would keep lines until it has many
  res.flushHeaders()
  const end = (): void => void res.destroy()
  const send = (event: GatewayEvent): void => {
    if (res.writableLength > MAX_BEHIND_BYTES) return end()
    if (fits(event)) res.write(`${JSON.stringify(event)}\n`)
  }
  const leave = book.listen(send)
  const keepAlive = guarded(end, () => {
    if (!res.writableNeedDrain) res.write('\n')
  })
  const timer = setInterval(keepAlive, KEEP_ALIVE_MS)
  timer.unref()
  res.once(
    'close',
    guarded(end, () => {
      clearInterval(timer)
      leave()
    }),
  )
  res.on('error', end)
  if (after !== undefined) for (const event of book.list({ after, limit: Infinity, fits }).items) res.write(`${JSON.stringify(event)}\n`)
}
