import { useCallback, useEffect, useState } from 'preact/hooks'
import { asFault, type ApiFault } from '../api/client.ts'
import { Fault } from '../ui/fault.tsx'
import { bytes as sized, clockTime, count, plural } from '../ui/format.ts'
import { Bytes } from './body.tsx'
import type { CloseInfo, MessageInfo, RequestDetail } from './records.ts'
import { useSource } from './source.ts'

const PERIOD_MS = 1_000
const PAGE = 200

/** Messages of a WebSocket, an event stream or a gRPC call, as they come. */
export function Messages({ record }: { readonly record: RequestDetail }) {
  const source = useSource()
  const [messages, setMessages] = useState<readonly MessageInfo[]>([])
  const [next, setNext] = useState<number | null>(0)
  const [fault, setFault] = useState<ApiFault | undefined>()
  const more = useCallback(
    async (signal?: AbortSignal): Promise<void> => {
      try {
        const from = next ?? (messages.at(-1)?.number ?? -1) + 1
        const page = await source.messages(record.id, from, PAGE, signal)
        if (page.items.length > 0)
          setMessages(before => [...before, ...page.items.filter(({ number }) => number > (before.at(-1)?.number ?? -1))])
        setNext(page.next)
        setFault(undefined)
      } catch (error) {
        if (signal?.aborted !== true) setFault(asFault(error))
      }
    },
    [record.id, next, messages, source],
  )
  // The first page, then whatever is new: while it is under way there is always more.
  const known = messages.length
  useEffect(() => {
    const controller = new AbortController()
    if (known === 0 || (record.messages > known && known % PAGE !== 0)) void more(controller.signal)
    return () => controller.abort()
  }, [record.id, record.messages])
  return (
    <section aria-label="Messages">
      <h2>{plural(record.messages, 'message')}</h2>
      {record.close !== null && <Close close={record.close} />}
      {record.messagesDropped > 0 && (
        <p class="warn">{plural(record.messagesDropped, 'message')} more, the oldest, are not kept any more.</p>
      )}
      {fault !== undefined && <Fault fault={fault} />}
      {messages.length === 0 ? (
        <p class="empty">None yet.</p>
      ) : (
        <ol class="messages">
          {messages.map(message => (
            <Message key={message.number} message={message} id={record.id} />
          ))}
        </ol>
      )}
      {(next !== null || record.messages > (messages.at(-1)?.number ?? -1) + 1) && messages.length > 0 && (
        <button type="button" onClick={() => void more()}>
          Show more
        </button>
      )}
    </section>
  )
}

/** The end of a WebSocket, and what that means. */
export function Close({ close: { code, reason, by, isClean, explanation } }: { readonly close: CloseInfo }) {
  return (
    <p class={isClean ? 'note' : 'note bad'}>
      Closed with <strong>{code}</strong>
      {reason !== '' && ` “${reason}”`} by {by === 'unknown' ? 'nobody knows whom' : `the ${by}`}. {explanation}
    </p>
  )
}

function Message({ message, id }: { readonly message: MessageInfo; readonly id: string }) {
  const [isOpen, setOpen] = useState(false)
  const { number, at, from, type, bytes, text, code, event, isCut, isCompressed } = message
  const name = [type, ...(event === null ? [] : [event]), ...(code === null ? [] : [String(code)])].join(' ')
  return (
    <li class={`message ${from}`}>
      <button type="button" class="plain message-line" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <span class="dim">{clockTime(at)}</span> <strong aria-hidden="true">{from === 'client' ? '→' : '←'}</strong>
        <span class="unseen">from the {from}</span> <span class="dim">{name}</span> <span class="dim">{sized(bytes)}</span>{' '}
        <span class="message-text">{text ?? ''}</span>
      </button>
      {isOpen && (
        <div class="message-open">
          <p class="dim">
            Number {count(number)}
            {isCut && ', cut'}
            {isCompressed && ', came compressed'}
          </p>
          <MessageBytes id={id} number={number} type={type === 'grpc' ? 'application/grpc' : null} label={`message ${number}`} />
        </div>
      )}
    </li>
  )
}

interface MessageBytesProps {
  readonly id: string
  readonly number: number
  readonly type: string | null
  readonly label: string
}

function MessageBytes({ id, number, type, label }: MessageBytesProps) {
  const source = useSource()
  const [bytes, setBytes] = useState<Uint8Array<ArrayBuffer> | undefined>()
  const [fault, setFault] = useState<ApiFault | undefined>()
  useEffect(() => {
    source.message(id, number).then(setBytes, (error: unknown) => setFault(asFault(error)))
  }, [source, id, number])
  if (fault !== undefined) return <Fault fault={fault} />
  return bytes === undefined ? <p class="empty">Loading…</p> : <Bytes bytes={bytes} type={type} label={label} />
}

/** Interval at which a record that is not over is looked at again, milliseconds. */
export const RECORD_PERIOD_MS = PERIOD_MS
