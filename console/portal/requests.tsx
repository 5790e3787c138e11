import { useMemo } from 'preact/hooks'
import type { Socket } from '../../src/client/wire.ts'
import type { PageProps } from '../app/page.ts'
import { go, hrefOf } from '../app/route.ts'
import { Compare } from '../requests/compare.tsx'
import { Record } from '../requests/record.tsx'
import { RequestList } from '../requests/requests.tsx'
import { RequestSourceProvider } from '../requests/source.ts'
import { Form } from '../ui/form.tsx'
import { Stale } from '../ui/stale.tsx'
import { socketSource } from './socket-source.ts'
import { useList, v1 } from './v1.ts'

const PERIOD_MS = 30_000

/** Requests of own sockets: of which one, then its list, one of them, or two side by side. */
export function SocketRequestPages({ rest, query }: PageProps) {
  const [socketId, id, a, b] = rest
  const sockets = useList<Socket>('sockets?limit=100', PERIOD_MS)
  const { data = [] } = sockets
  const chosen = data.find(socket => socket.id === socketId) ?? (socketId === undefined ? data.find(({ inspect }) => inspect) : undefined)
  const of = socketId ?? chosen?.id
  const source = useMemo(() => (of === undefined ? undefined : socketSource(of)), [of])
  if (source !== undefined && id !== undefined)
    return (
      <RequestSourceProvider value={source}>
        {id === 'compare' ? <Compare a={a ?? ''} b={b ?? ''} /> : <Record key={id} id={id} />}
      </RequestSourceProvider>
    )
  return (
    <>
      <h1>Requests</h1>
      <Stale polled={sockets} />
      {sockets.data !== undefined && (
        <label class="field whole">
          Socket
          <select value={of ?? ''} onChange={event => go(hrefOf(['requests', event.currentTarget.value]))}>
            {of === undefined && <option value="">Choose one</option>}
            {data.map(socket => (
              <option key={socket.id} value={socket.id}>
                {socket.name}: {socket.dnsName}
                {socket.inspect ? '' : ' (not recorded)'}
              </option>
            ))}
          </select>
        </label>
      )}
      {chosen !== undefined && !chosen.inspect && <Recording socket={chosen} refresh={sockets.refresh} />}
      {sockets.data !== undefined && data.length === 0 && <p class="empty">There is no socket yet.</p>}
      {source !== undefined && chosen?.inspect === true && (
        <RequestSourceProvider value={source}>
          <RequestList key={of} query={query} />
        </RequestSourceProvider>
      )}
    </>
  )
}

interface RecordingProps {
  readonly socket: Socket
  readonly refresh: () => void
}

/** Says whether requests of a socket are recorded, and changes that. */
export function Recording({ socket: { id, inspect, etag }, refresh }: RecordingProps) {
  return (
    <>
      <p class="dim">
        {inspect
          ? 'Recorded for you alone, for an hour at most, and without what looks like a secret.'
          : 'Requests and answers can be recorded for you alone, for an hour at most, and without what looks like a secret.'}
      </p>
      {inspect && (
        <p>
          <a href={hrefOf(['requests', id])}>Show the requests</a>
        </p>
      )}
      <Form
        verb={inspect ? 'Stop recording' : 'Record requests'}
        act={() => v1('PATCH', `sockets/${id}`, { body: { inspect: !inspect }, headers: { 'if-match': `"${etag}"` } })}
        onDone={refresh}
      />
    </>
  )
}
