import { useMemo, useState } from 'preact/hooks'
import type { Page, SeenHalf, SeenRequest, SeenRequestDetail, Socket } from '../../src/client/wire.ts'
import { Bytes, Pairs } from '../requests/body.tsx'
import { Timing } from '../requests/timing.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Field, Form, textOf } from '../ui/form.tsx'
import { bytes, moment, ms } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Table } from '../ui/table.tsx'
import { useV1, v1 } from './v1.ts'

const PERIOD_MS = 3_000
const LIMIT = 50

interface RequestsProps {
  readonly socket: Socket
  readonly path: string
  readonly refresh: () => void
}

/** Requests that were recorded at a socket, where its owner wants that. */
export function SocketRequests({ socket, path, refresh }: RequestsProps) {
  const isOn = socket.inspect
  return (
    <section aria-label="Requests">
      <h2>Requests</h2>
      <p class="dim">
        {isOn
          ? 'Recorded for you alone, for an hour at most, and without what looks like a secret.'
          : 'Requests and answers can be recorded for you alone, for an hour at most, and without what looks like a secret.'}
      </p>
      <Form
        verb={isOn ? 'Stop recording' : 'Record requests'}
        act={() => v1('PATCH', path, { body: { inspect: !isOn }, headers: { 'if-match': `"${socket.etag}"` } })}
        onDone={refresh}
      />
      {isOn && <List path={path} />}
    </section>
  )
}

function List({ path }: { readonly path: string }) {
  const [filter, setFilter] = useState('')
  const [chosen, setChosen] = useState<SeenRequest | undefined>()
  const query = `limit=${LIMIT}${filter === '' ? '' : `&filter=${encodeURIComponent(filter)}`}`
  const polled = useV1<Page<SeenRequest>>(`${path}/requests?${query}`, PERIOD_MS)
  const { data } = polled
  return (
    <>
      <Form verb="Filter" act={form => Promise.resolve(setFilter(textOf(form, 'filter')))}>
        <Field label="Only" name="filter" value={filter} hint="a part of the path, status:>=400, method:post, duration:>500ms, text:word" />
      </Form>
      <Stale polled={polled} />
      {data !== undefined && (
        <Table
          caption="Requests"
          rows={data.items}
          keyOf={({ id }) => id}
          empty={filter === '' ? 'None has come yet.' : 'None of those that are kept.'}
          columns={[
            { name: 'when', cell: row => moment(row.at) },
            { name: 'request', cell: row => <code>{titleOf(row)}</code>, isLong: true },
            {
              name: 'answer',
              cell: row => row.error ?? row.status ?? '–',
              tone: row => (row.error !== null || (row.status ?? 0) >= 500 ? 'bad' : (row.status ?? 0) >= 400 ? 'warn' : ''),
            },
            { name: 'time', cell: row => (row.durationMs === null ? 'under way' : ms(row.durationMs)), isNumber: true },
            { name: 'size', cell: row => bytes(row.responseBytes), isNumber: true },
            { name: 'from', cell: row => row.visitor ?? row.client ?? '–', isLong: true },
          ]}
          actions={row => (
            <button type="button" aria-label={`Show ${titleOf(row)} of ${moment(row.at)}`} onClick={() => setChosen(row)}>
              Show
            </button>
          )}
        />
      )}
      {data !== undefined && data.next !== null && <p class="dim">The latest {LIMIT} are shown; a filter finds others.</p>}
      {chosen !== undefined && <Detail line={chosen} path={path} onClose={() => setChosen(undefined)} />}
    </>
  )
}

const titleOf = ({ method, path, kind, host }: SeenRequest): string => (kind === 'tcp' ? `TCP ${host}` : `${method} ${path}`)

function Detail({ line, path, onClose }: { readonly line: SeenRequest; readonly path: string; readonly onClose: () => void }) {
  const polled = useV1<SeenRequestDetail>(`${path}/requests/${encodeURIComponent(line.id)}`)
  const { data } = polled
  return (
    <Dialog title={titleOf(line)} onClose={onClose} isWide>
      <Stale polled={polled} />
      {data !== undefined && (
        <>
          <Timing phases={data.phases} totalMs={data.durationMs} />
          <Half title="Request" half={data.request} />
          {data.response !== null && <Half title={`Answer: ${data.response.status} ${data.response.reason}`} half={data.response} />}
          {data.close !== null && (
            <p>
              Closed with {data.close.code}: {data.close.explanation}
            </p>
          )}
          {data.messageList.length > 0 && (
            <>
              <h3>Messages</h3>
              <Pairs pairs={data.messageList.map(({ from, type, text, bytes: size }) => [`${from}, ${type}`, text ?? bytes(size)])} />
            </>
          )}
          {data.redacted.length > 0 && <p class="dim">Taken out before anything was kept: {data.redacted.join(', ')}.</p>}
        </>
      )}
      <div class="buttons">
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  )
}

function Half({ title, half: { fields, trailers, body } }: { readonly title: string; readonly half: SeenHalf }) {
  const { text, base64 } = body
  const content = useMemo(
    () => (text !== null ? new TextEncoder().encode(text) : Uint8Array.from(atob(base64 ?? ''), letter => letter.charCodeAt(0))),
    [text, base64],
  )
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <Pairs pairs={fields} />
      {body.isCut && <p class="warn">Cut: only the first {bytes(content.length)} are kept.</p>}
      {!body.isComplete && body.bytes > 0 && <p class="warn">Not all of it came.</p>}
      {body.note !== null && <p class="warn">{body.note}</p>}
      {content.length > 0 && <Bytes bytes={content} type={body.type} label={title} />}
      {trailers.length > 0 && <Pairs pairs={trailers} />}
    </section>
  )
}
