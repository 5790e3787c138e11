import { useEffect, useState } from 'preact/hooks'
import type { Polled } from '../api/poll.ts'
import { Fault } from './fault.tsx'
import { ago } from './format.ts'

/** The words for data that could not be fetched anew: how old it is, why, and what to do. Nothing while all is well. */
export function Stale({ polled: { fault, data, atMs, refresh } }: { readonly polled: Polled<unknown> }) {
  const [, setNow] = useState(0)
  useEffect(() => {
    if (fault === undefined) return
    const timer = setInterval(setNow, 1000, Date.now)
    return () => clearInterval(timer)
  }, [fault])
  if (fault === undefined) return data === undefined ? <p class="empty">Loading…</p> : null
  return (
    <div class="stale">
      {data !== undefined && (
        <p>
          <strong>This is {ago(atMs)} old.</strong>
        </p>
      )}
      <Fault fault={fault} />
      <button type="button" onClick={refresh}>
        Ask again
      </button>
    </div>
  )
}
