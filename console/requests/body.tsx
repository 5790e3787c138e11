import { useEffect, useMemo, useState } from 'preact/hooks'
import { asFault, type ApiFault } from '../api/client.ts'
import { CopyButton } from '../ui/copy.tsx'
import { Fault } from '../ui/fault.tsx'
import { bytes as sized, plural } from '../ui/format.ts'
import { hexLines } from './bodies/hex.ts'
import { formatJson } from './bodies/json.ts'
import { readMultipart, utf8 } from './bodies/multipart.ts'
import { readGrpc, readProtobuf, type ProtoField } from './bodies/protobuf.ts'
import { viewsOf, type View } from './bodies/views.ts'
import { formatXml } from './bodies/xml.ts'
import { Lines } from './lines.tsx'
import type { BodyInfo } from './records.ts'
import { useSource } from './source.ts'

const NAMES: Readonly<Record<View, string>> = {
  json: 'JSON',
  xml: 'XML',
  form: 'Form',
  multipart: 'Parts',
  image: 'Image',
  protobuf: 'Protobuf',
  text: 'Text',
  hex: 'Hex',
}

/** Properties of a body. */
export interface BodyProps {
  readonly label: string
  readonly info: BodyInfo
  /** Of its record. */
  readonly id: string
  readonly side: 'request' | 'response'
}

/** A body: what is known of it, and its bytes in the way that suits them. */
export function Body({ label, info, id, side }: BodyProps) {
  const source = useSource()
  const [bytes, setBytes] = useState<Uint8Array<ArrayBuffer> | undefined>()
  const [fault, setFault] = useState<ApiFault | undefined>()
  useEffect(() => {
    const controller = new AbortController()
    setBytes(undefined)
    setFault(undefined)
    if (info.heldBytes === 0) return
    source.body(id, side, controller.signal).then(setBytes, (error: unknown) => controller.signal.aborted || setFault(asFault(error)))
    return () => controller.abort()
  }, [source, id, side, info.heldBytes])
  return (
    <section aria-label={`${label}: body`}>
      <h3>Body</h3>
      <BodyFacts info={info} />
      {fault !== undefined && <Fault fault={fault} />}
      {bytes !== undefined && <Bytes bytes={bytes} type={info.type} label={label} />}
    </section>
  )
}

function BodyFacts({ info }: { readonly info: BodyInfo }) {
  if (info.bytes === 0 && info.note === null) return <p class="empty">None.</p>
  const facts = [
    info.type ?? 'no type',
    sized(info.bytes),
    ...(info.coding === null ? [] : [`${info.coding}, decoded`]),
    ...(info.redactions === 0 ? [] : [`${plural(info.redactions, 'place')} redacted`]),
  ]
  return (
    <>
      <p class="dim">{facts.join(', ')}</p>
      {info.isCut && <p class="warn">Cut: only the first {sized(info.heldBytes)} are kept.</p>}
      {!info.isComplete && <p class="warn">Not all of it came.</p>}
      {info.note !== null && <p class="warn">{info.note}</p>}
    </>
  )
}

/** Bytes, with a choice of ways to look at them. */
export function Bytes({
  bytes,
  type,
  label,
}: {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly type: string | null
  readonly label: string
}) {
  const views = useMemo(() => viewsOf(type, bytes), [type, bytes])
  const [chosen, setChosen] = useState<View | undefined>()
  const view = chosen !== undefined && views.includes(chosen) ? chosen : views[0]!
  return (
    <>
      <div class="tabs" role="group" aria-label={`${label}: how to look at the body`}>
        {views.map(each => (
          <button key={each} type="button" aria-pressed={each === view} onClick={() => setChosen(each)}>
            {NAMES[each]}
          </button>
        ))}
        <CopyButton text={() => utf8(bytes)} label={`Copy the body of ${label}`} />
      </div>
      <Shown view={view} bytes={bytes} type={type} label={label} />
    </>
  )
}

interface ShownProps {
  readonly view: View
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly type: string | null
  readonly label: string
}

function Shown({ view, bytes, type, label }: ShownProps) {
  switch (view) {
    case 'json':
      return <Lines {...linesOf(formatJson(utf8(bytes)))} label={label} />
    case 'xml':
      return <Lines {...linesOf(formatXml(utf8(bytes)))} label={label} />
    case 'text':
      return <Lines lines={utf8(bytes).split('\n')} label={label} />
    case 'hex':
      return <Lines lines={hexLines(bytes)} label={label} />
    case 'form':
      return <Pairs pairs={[...new URLSearchParams(utf8(bytes))]} />
    case 'multipart':
      return <Parts bytes={bytes} type={type ?? ''} label={label} />
    case 'image':
      return <Image bytes={bytes} type={type ?? ''} label={label} />
    case 'protobuf':
      return <Proto bytes={bytes} />
  }
}

const linesOf = ({ text, fault }: ReturnType<typeof formatJson>) => ({ lines: text.split('\n'), ...(fault !== undefined && { fault }) })

/** Names and values. */
export function Pairs({ pairs }: { readonly pairs: readonly (readonly [string, string])[] }) {
  return (
    <dl class="facts pairs">
      {pairs.map(([name, value], i) => (
        <div key={i}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function Parts({ bytes, type, label }: { readonly bytes: Uint8Array; readonly type: string; readonly label: string }) {
  const parts = useMemo(() => readMultipart(bytes, type), [bytes, type])
  if (parts === undefined) return <p class="bad">The type of the body has no boundary, so nobody can tell its parts.</p>
  return (
    <>
      {parts.map((part, i) => (
        <section key={i} class="panel" aria-label={`part ${i + 1}`}>
          <h4>
            {part.name} <span class="dim">{[part.filename, part.type, sized(part.bytes.length)].filter(Boolean).join(', ')}</span>
          </h4>
          <Bytes bytes={new Uint8Array(part.bytes)} type={part.type} label={`${label}, part ${i + 1}`} />
        </section>
      ))}
    </>
  )
}

function Image({ bytes, type, label }: { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string; readonly label: string }) {
  const [url, setUrl] = useState('')
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([bytes], { type }))
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [bytes, type])
  return url === '' ? null : <img class="body-image" src={url} alt={`${label}: the image of the body`} />
}

function Proto({ bytes }: { readonly bytes: Uint8Array }) {
  const messages = useMemo(() => readGrpc(bytes) ?? [{ isCompressed: false, bytes }], [bytes])
  return (
    <>
      {messages.map((message, i) => {
        const fields = message.isCompressed ? undefined : readProtobuf(message.bytes)
        return (
          <section key={i} class="panel" aria-label={`message ${i + 1}`}>
            <h4>
              Message {i + 1} <span class="dim">{sized(message.bytes.length)}</span>
            </h4>
            {fields === undefined ? (
              <p class="warn">{message.isCompressed ? 'It is compressed.' : 'It is no protobuf.'}</p>
            ) : (
              <ProtoFields fields={fields} />
            )}
          </section>
        )
      })}
    </>
  )
}

function ProtoFields({ fields }: { readonly fields: readonly ProtoField[] }) {
  return (
    <ul class="proto">
      {fields.map(({ number, kind, readings, fields: nested }, i) => (
        <li key={i}>
          <strong>{number}</strong> <span class="dim">{nested === undefined ? kind : 'message'}</span> <code>{readings[0]}</code>{' '}
          <span class="dim">{readings.slice(1).join(', ')}</span>
          {nested !== undefined && <ProtoFields fields={nested} />}
        </li>
      ))}
    </ul>
  )
}
