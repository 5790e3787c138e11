import { useRef, useState } from 'preact/hooks'
import { asFault, type ApiFault } from '../api/client.ts'
import type { PageProps } from '../app/page.ts'
import { go } from '../app/route.ts'
import { useConfirm } from '../ui/dialog.tsx'
import { Fault } from '../ui/fault.tsx'
import { bytes, clockTime, count, ms, plural } from '../ui/format.ts'
import { VirtualList } from '../ui/virtual-list.tsx'
import { useRequests, type LiveRequests } from './live.ts'
import { Record } from './record.tsx'
import type { RequestSummary } from './records.ts'
import { useSource, type MissingNodes } from './source.ts'

/** The list of an inspector, or one record of it. */
export function Requests(props: PageProps) {
  const id = props.rest[0]
  return id === undefined ? (
    <>
      <h1>Requests</h1>
      <RequestList {...props} />
    </>
  ) : (
    <Record key={id} id={id} />
  )
}

/** Between the last key and the question, milliseconds. */
const ASK_MS = 150

const COLUMNS = [
  { name: 'time' },
  { name: 'method' },
  { name: 'host' },
  { name: 'path' },
  { name: 'status', isNumber: true },
  { name: 'ms', isNumber: true },
  { name: 'bytes', isNumber: true },
  { name: 'who' },
] as const
const TEMPLATE = '6.5rem 4.5rem minmax(6rem, 1.2fr) minmax(9rem, 3fr) 5rem 5rem 5.5rem minmax(4rem, 1fr)'

const toneOf = ({ status, error, isOver }: RequestSummary): string =>
  error !== null || (status !== null && status >= 500) ? 'bad' : status !== null && status >= 400 ? 'warn' : isOver ? 'good' : 'dim'

const cells = (record: RequestSummary) => [
  clockTime(record.at),
  record.kind === 'http' ? record.method : `${record.method} ${record.kind}`,
  record.host,
  record.path,
  <span class={toneOf(record)}>{record.status ?? record.error ?? (record.isOver ? '–' : '…')}</span>,
  record.durationMs === null ? '…' : ms(record.durationMs),
  bytes(record.requestBytes + record.responseBytes),
  record.visitor ?? record.client ?? '',
]
const keyOf = ({ id }: RequestSummary): string => id

/** The list with its filter, without a heading. */
export function RequestList({ query }: Pick<PageProps, 'query'>) {
  const { listHref, recordHref } = useSource()
  const [text, setText] = useState(query.get('q') ?? '')
  const [asked, setAsked] = useState(text)
  const [isPaused, setPaused] = useState(false)
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set())
  const live = useRequests(asked, isPaused)
  const { rows } = live
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const change = (value: string): void => {
    setText(value)
    go(listHref({ q: value }), true)
    clearTimeout(timer.current)
    timer.current = setTimeout(setAsked, ASK_MS, value)
  }
  const mark = (key: string, { id }: RequestSummary): boolean => {
    if (key !== 'x') return false
    setMarked(before => {
      const next = new Set(before)
      if (!next.delete(id)) next.add(id)
      return new Set([...next].slice(-2))
    })
    return true
  }
  return (
    <>
      <div class="filters">
        <label class="grow">
          Filter
          <input
            type="search"
            value={text}
            placeholder="host:api status:5xx duration:>500ms text:order -path:/health"
            aria-describedby="filter-help"
            onInput={event => change(event.currentTarget.value)}
          />
        </label>
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </button>
      </div>
      <p id="filter-help" class="dim">
        host, path, method, status, duration, size, code, visitor, client, target, inner, kind, type, header, text, body, is; - before a
        word: not
      </p>
      <Status live={live} asked={asked} marked={[...marked]} />
      <VirtualList
        label="Requests, newest first"
        columns={COLUMNS}
        template={TEMPLATE}
        rows={rows}
        keyOf={keyOf}
        cells={cells}
        onOpen={({ id }) => go(recordHref(id))}
        marked={marked}
        onKey={mark}
      />
    </>
  )
}

interface StatusProps {
  readonly live: LiveRequests
  readonly asked: string
  readonly marked: readonly string[]
}

function Status({ live, asked, marked }: StatusProps) {
  const { rows, state, fault, isLive } = live
  const source = useSource()
  const [ask, question] = useConfirm()
  const [imported, setImported] = useState<ApiFault | undefined>()
  const file = useRef<HTMLInputElement>(null)
  const [older, newer] = marked.toSorted()
  const clear = (): void =>
    ask({
      title: 'Forget all requests?',
      text: 'All records are gone then.',
      verb: 'Forget all',
      act: () => source.clear!(),
      onDone: live.again,
    })
  const importHar = async (): Promise<void> => {
    const chosen = file.current?.files?.[0]
    if (chosen === undefined) return
    setImported(undefined)
    try {
      await source.importHar!(JSON.parse(await chosen.text()))
    } catch (error) {
      setImported(asFault(error))
    }
  }
  return (
    <>
      {question}
      {fault !== undefined && fault.status === 404 ? <Off /> : fault !== undefined && <Fault fault={fault} />}
      <MissingNodesText missing={live.missing} />
      {fault !== undefined && rows.length > 0 && <p class="warn">Not live at the moment: what is shown may be old.</p>}
      {imported !== undefined && <Fault fault={imported} />}
      <div class="buttons list-tools">
        <span class="dim" role="status">
          {count(rows.length)}
          {asked !== '' && state !== undefined && ` of ${count(Math.max(rows.length, state.requests))}`} requests{isLive ? ', live' : ''}
          {state !== undefined &&
            `; ${bytes(state.heldBytes)} of ${bytes(state.budgetBytes)} used${state.dropped > 0 ? `, ${count(state.dropped)} dropped` : ''}`}
        </span>
        {older !== undefined && newer !== undefined ? (
          <a href={source.compareHref(older, newer)}>Compare the two</a>
        ) : (
          <span class="dim">
            <kbd>x</kbd> marks two to compare
          </span>
        )}
        <a href={source.harHref(asked)} download="requests.har">
          HAR
        </a>
        {source.importHar !== undefined && (
          <>
            <button type="button" onClick={() => file.current?.click()}>
              Open a HAR file
            </button>
            <input
              ref={file}
              type="file"
              accept=".har,application/json"
              class="unseen"
              tabIndex={-1}
              aria-label="HAR file"
              onChange={() => void importHar()}
            />
          </>
        )}
        {source.clear !== undefined && (
          <button type="button" class="danger" onClick={clear}>
            Forget all
          </button>
        )}
      </div>
    </>
  )
}

/** The words for nodes whose requests are not in the list. */
function MissingNodesText({ missing }: { readonly missing: MissingNodes }) {
  const number = typeof missing === 'number' ? missing : missing.length
  if (number === 0) return null
  const names = typeof missing === 'number' ? '' : ` (${missing.join(', ')})`
  return (
    <p class="warn" role="status">
      {plural(number, 'node')} of the gateway{names} {number === 1 ? 'does' : 'do'} not answer: what came in there is not listed.
    </p>
  )
}

/** Advice on turning the inspector on. */
function Off() {
  return (
    <div class="panel">
      <p>
        <strong>The inspector is off.</strong> Nothing of any request is kept.
      </p>
      <p>
        At an inner layer: <code>--inspect</code>. At an outer layer: <code>inspect: true</code> at the targets that are to be looked at.
        See docs/inspector.md.
      </p>
    </div>
  )
}
