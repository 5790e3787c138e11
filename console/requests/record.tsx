import { useCallback, useState } from 'preact/hooks'
import { usePoll } from '../api/poll.ts'
import { go } from '../app/route.ts'
import { CopyButton } from '../ui/copy.tsx'
import { useConfirm } from '../ui/dialog.tsx'
import { bytes, moment, ms } from '../ui/format.ts'
import { Stale } from '../ui/stale.tsx'
import { Body, Pairs } from './body.tsx'
import { utf8 } from './bodies/multipart.ts'
import { copyAs, type CopyAs } from './copy-as.ts'
import { Messages, RECORD_PERIOD_MS } from './messages.tsx'
import type { MessageHalf, RequestDetail } from './records.ts'
import { Replay } from './replay.tsx'
import { useSource } from './source.ts'
import { Timing } from './timing.tsx'

/** One request with everything that is known of it. */
export function Record({ id }: { readonly id: string }) {
  const source = useSource()
  const ask = useCallback((signal: AbortSignal) => source.detail(id, signal), [id, source])
  const [isOver, setOver] = useState(false)
  const polled = usePoll(ask, isOver ? 0 : RECORD_PERIOD_MS)
  if (polled.data?.isOver === true && !isOver) setOver(true)
  const record = polled.data
  return (
    <>
      <p>
        <a class="back" href={source.listHref()}>
          ← All requests
        </a>
      </p>
      <h1>{record === undefined ? 'Request' : `${record.method} ${record.host}${record.path}`}</h1>
      <Stale polled={polled} />
      {record !== undefined && <Detail record={record} />}
    </>
  )
}

function Detail({ record }: { readonly record: RequestDetail }) {
  const [isReplaying, setReplaying] = useState(false)
  const [ask, question] = useConfirm()
  const { forget: forgetIt, compareHref, listHref } = useSource()
  const forget = (): void =>
    ask({
      title: 'Forget this request?',
      text: 'The record is gone then; nothing else is changed.',
      verb: 'Forget',
      act: () => forgetIt!(record.id),
      onDone: () => go(listHref()),
    })
  return (
    <>
      {question}
      <div class="buttons">
        <button type="button" class="main" disabled={!record.canReplay} onClick={() => setReplaying(true)}>
          Replay
        </button>
        <CopyAsButtons record={record} />
        {record.replayOf !== null && <a href={compareHref(record.replayOf, record.id)}>Compare with the original</a>}
        {forgetIt !== undefined && (
          <button type="button" class="danger" onClick={forget}>
            Forget
          </button>
        )}
      </div>
      {!record.canReplay && <p class="dim">It cannot be sent again from here.</p>}
      {isReplaying && <Replay record={record} onClose={() => setReplaying(false)} />}
      <Facts record={record} />
      <Timing phases={record.phases} totalMs={record.durationMs} />
      {(record.messages > 0 || record.kind === 'websocket' || record.kind === 'events') && <Messages record={record} />}
      <div class="halves">
        <section class="panel" aria-label="Request">
          <h2>Request</h2>
          <Half half={record.request} label="Request" id={record.id} side="request" />
        </section>
        <section class="panel" aria-label="Answer">
          <h2>Answer</h2>
          {record.interim.map(({ status, reason, fields, afterMs }, i) => (
            <div key={i}>
              <p>
                <strong>{status}</strong> {reason} <span class="dim">after {ms(afterMs)}</span>
              </p>
              <Pairs pairs={fields} />
            </div>
          ))}
          {record.response === null ? (
            <p class="empty">{record.isOver ? 'There was none.' : 'Not yet.'}</p>
          ) : (
            <>
              <p>
                <strong>{record.response.status}</strong> {record.response.reason}
              </p>
              <Half half={record.response} label="Answer" id={record.id} side="response" />
            </>
          )}
        </section>
      </div>
    </>
  )
}

function Facts({ record }: { readonly record: RequestDetail }) {
  const facts: readonly (readonly [string, string | null])[] = [
    ['address', record.url],
    ['when', moment(record.at)],
    ['kind', record.kind],
    ['version', record.version],
    ['target', record.target],
    ['inner layer', record.innerLayer],
    ['client', record.client],
    ['visitor', record.visitor],
    ['request id', record.requestId],
    ['bytes', `${bytes(record.requestBytes)} in, ${bytes(record.responseBytes)} out`],
    ['redacted', record.redacted.length === 0 ? null : record.redacted.join(', ')],
    ['came by', record.isImported ? 'a HAR file' : null],
  ]
  return (
    <>
      {record.error !== null && (
        <div class="fault">
          <code>{record.error}</code> {record.reason ?? ''}
        </div>
      )}
      <dl class="facts">
        {facts.map(([name, value]) =>
          value === null ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
    </>
  )
}

interface HalfProps {
  readonly half: MessageHalf
  readonly label: string
  readonly id: string
  readonly side: 'request' | 'response'
}

function Half({ half, label, id, side }: HalfProps) {
  return (
    <>
      <Pairs pairs={half.fields} />
      <Body label={label} info={half.body} id={id} side={side} />
      {half.trailers.length > 0 && (
        <>
          <h3>Trailers</h3>
          <Pairs pairs={half.trailers} />
        </>
      )}
    </>
  )
}

const PROGRAMS: readonly CopyAs[] = ['curl', 'fetch', 'httpie']

function CopyAsButtons({ record }: { readonly record: RequestDetail }) {
  const source = useSource()
  const [body, setBody] = useState<string | undefined>()
  const [isLoaded, setLoaded] = useState(record.request.body.heldBytes === 0)
  // The clipboard is only open at the very click, so the body has to be here before.
  const load = (): void => {
    if (isLoaded) return
    setLoaded(true)
    source.body(record.id, 'request').then(
      bytes => setBody(utf8(bytes)),
      () => setLoaded(false),
    )
  }
  return (
    <span onPointerEnter={load} onFocusCapture={load} class="copy-as">
      {PROGRAMS.map(program => (
        <CopyButton key={program} label={`Copy as ${program}`} text={() => copyAs(program, record, body)}>
          {program}
        </CopyButton>
      ))}
    </span>
  )
}
