import { useEffect, useState } from 'preact/hooks'
import { asFault, type ApiFault } from '../api/client.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Fault } from '../ui/fault.tsx'
import { ms } from '../ui/format.ts'
import { looksLikeText } from './bodies/views.ts'
import { utf8 } from './bodies/multipart.ts'
import type { NamedValue, ReplayResult, RequestDetail } from './records.ts'
import { useSource } from './source.ts'

/** Fields as lines, `Name: value`. */
export const fieldsText = (fields: readonly NamedValue[]): string => fields.map(([name, value]) => `${name}: ${value}`).join('\n')

/** Reads what `fieldsText` has written, edited. @throws Error with the line that is none */
export function parseFields(text: string): readonly NamedValue[] {
  return text.split('\n').flatMap((line, i): NamedValue[] => {
    if (line.trim() === '') return []
    const colon = line.indexOf(':')
    if (colon < 1) throw new Error(`line ${i + 1} of the fields has no name; write Name: value`)
    return [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()]]
  })
}

/** Sends a request again, as it was or edited, once or many times, and leads to the answers side by side. */
export function Replay({ record, onClose }: { readonly record: RequestDetail; readonly onClose: () => void }) {
  const source = useSource()
  const [method, setMethod] = useState(record.method)
  const [path, setPath] = useState(record.path)
  const before = fieldsText(record.request.fields)
  const [fields, setFields] = useState(before)
  const [original, setOriginal] = useState<string | undefined>(record.request.body.heldBytes === 0 ? '' : undefined)
  const [body, setBody] = useState('')
  const [isText, setText] = useState(true)
  const [times, setTimes] = useState(1)
  const [allowRedacted, setAllow] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [fault, setFault] = useState<ApiFault | undefined>()
  const [results, setResults] = useState<readonly ReplayResult[]>([])

  useEffect(() => {
    if (original !== undefined) return
    source.body(record.id, 'request').then(
      bytes => {
        const text = utf8(bytes)
        setText(looksLikeText(bytes) && !record.request.body.isCut)
        setOriginal(text)
        setBody(text)
      },
      (error: unknown) => setFault(asFault(error)),
    )
  }, [record.id])

  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    setFault(undefined)
    try {
      const edits = {
        ...(method !== record.method && { method }),
        ...(path !== record.path && { path }),
        ...(fields !== before && { fields: parseFields(fields) }),
        ...(isText && original !== undefined && body !== original && { body }),
        ...(times > 1 && { times, concurrency: Math.min(10, times) }),
        ...(allowRedacted && { allowRedacted }),
      }
      setResults(await source.replay(record.id, edits))
    } catch (error) {
      setFault(asFault(error))
    }
    setBusy(false)
  }

  return (
    <Dialog title="Replay" onClose={onClose} isWide>
      <form class="form wide-form" onSubmit={event => void send(event)}>
        <div class="row">
          <label class="field">
            Method
            <input value={method} size={8} onInput={event => setMethod(event.currentTarget.value.toUpperCase())} />
          </label>
          <label class="field grow">
            Path and query
            <input value={path} onInput={event => setPath(event.currentTarget.value)} />
          </label>
          <label class="field">
            Times
            <input type="number" min={1} max={100} value={times} onInput={event => setTimes(Number(event.currentTarget.value))} />
          </label>
        </div>
        <label class="field">
          Fields
          <textarea rows={8} spellcheck={false} value={fields} onInput={event => setFields(event.currentTarget.value)} />
        </label>
        {isText ? (
          <label class="field">
            Body
            <textarea rows={8} spellcheck={false} value={body} onInput={event => setBody(event.currentTarget.value)} />
          </label>
        ) : (
          <p class="dim">The body is no text, or was cut: it is sent as it is kept.</p>
        )}
        {record.redacted.length > 0 && (
          <label class="check">
            <input type="checkbox" checked={allowRedacted} onChange={event => setAllow(event.currentTarget.checked)} />
            Send *** where something was redacted ({record.redacted.join(', ')})
          </label>
        )}
        {fault !== undefined && <Fault fault={fault} />}
        <div class="buttons">
          <button type="submit" class="main" disabled={isBusy}>
            {isBusy ? 'Sending…' : 'Send'}
          </button>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      </form>
      <Results results={results} original={record.id} />
    </Dialog>
  )
}

function Results({ results, original }: { readonly results: readonly ReplayResult[]; readonly original: string }) {
  const { compareHref } = useSource()
  if (results.length === 0) return null
  return (
    <section aria-label="Answers" role="status">
      <h3>Answers</h3>
      <ol>
        {results.map(({ id, status, durationMs, error }, i) => (
          <li key={i}>
            {status === null ? <span class="bad">{error ?? 'no answer'}</span> : <strong>{status}</strong>}{' '}
            <span class="dim">{ms(durationMs)}</span> {id !== null && <a href={compareHref(original, id)}>Side by side</a>}
          </li>
        ))}
      </ol>
    </section>
  )
}
