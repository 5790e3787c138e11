import { useEffect, useMemo, useState } from 'preact/hooks'
import { asFault, type ApiFault } from '../api/client.ts'
import { Fault } from '../ui/fault.tsx'
import { bytes as sized, moment, ms } from '../ui/format.ts'
import { hexLines } from './bodies/hex.ts'
import { formatJson } from './bodies/json.ts'
import { utf8 } from './bodies/multipart.ts'
import { viewsOf } from './bodies/views.ts'
import { formatXml } from './bodies/xml.ts'
import { diffLines, type DiffLine } from './diff.ts'
import type { RequestDetail } from './records.ts'
import { useSource, type RequestSource } from './source.ts'

interface Side {
  readonly record: RequestDetail
  readonly requestBody: readonly string[]
  readonly responseBody: readonly string[]
}

/** Two requests and their answers, side by side. */
export function Compare({ a, b }: { readonly a: string; readonly b: string }) {
  const source = useSource()
  const [sides, setSides] = useState<readonly [Side, Side] | undefined>()
  const [fault, setFault] = useState<ApiFault | undefined>()
  const [isAll, setAll] = useState(true)
  useEffect(() => {
    setSides(undefined)
    Promise.all([load(source, a), load(source, b)]).then(setSides, (error: unknown) => setFault(asFault(error)))
  }, [source, a, b])
  return (
    <>
      <p>
        <a class="back" href={source.listHref()}>
          ← All requests
        </a>
      </p>
      <h1>Side by side</h1>
      {fault !== undefined && <Fault fault={fault} />}
      {sides === undefined && fault === undefined && <p class="empty">Loading…</p>}
      {sides !== undefined && (
        <>
          <label class="check">
            <input type="checkbox" checked={!isAll} onChange={event => setAll(!event.currentTarget.checked)} />
            Only what differs
          </label>
          <div class="halves">
            {sides.map(({ record }) => (
              <p key={record.id}>
                <a href={source.recordHref(record.id)}>{moment(record.at)}</a>{' '}
                <span class="dim">
                  {record.durationMs === null ? 'not over' : ms(record.durationMs)}, {sized(record.responseBytes)}
                </span>
              </p>
            ))}
          </div>
          <Part
            title="Request"
            sides={sides}
            isAll={isAll}
            read={({ record }) => [`${record.method} ${record.host}${record.path}`, ...fieldsOf(record.request.fields)]}
          />
          <Part title="Body of the request" sides={sides} isAll={isAll} read={({ requestBody }) => requestBody} />
          <Part
            title="Answer"
            sides={sides}
            isAll={isAll}
            read={({ record: { response, error } }) =>
              response === null ? [error ?? 'no answer'] : [`${response.status} ${response.reason}`, ...fieldsOf(response.fields)]
            }
          />
          <Part title="Body of the answer" sides={sides} isAll={isAll} read={({ responseBody }) => responseBody} />
        </>
      )}
    </>
  )
}

const fieldsOf = (fields: readonly (readonly [string, string])[]): string[] => fields.map(([name, value]) => `${name}: ${value}`)

async function load(source: RequestSource, id: string): Promise<Side> {
  const record = await source.detail(id)
  const bodyOf = async (
    info: { readonly heldBytes: number; readonly type: string | null } | undefined,
    side: 'request' | 'response',
  ): Promise<readonly string[]> => (info === undefined || info.heldBytes === 0 ? [] : readable(await source.body(id, side), info.type))
  return {
    record,
    requestBody: await bodyOf(record.request.body, 'request'),
    responseBody: await bodyOf(record.response?.body, 'response'),
  }
}

/** Lines in which two bodies can be compared. */
function readable(bytes: Uint8Array, type: string | null): readonly string[] {
  switch (viewsOf(type, bytes)[0]) {
    case 'json':
      return formatJson(utf8(bytes)).text.split('\n')
    case 'xml':
      return formatXml(utf8(bytes)).text.split('\n')
    case 'form':
      return [...new URLSearchParams(utf8(bytes))].map(([name, value]) => `${name} = ${value}`)
    case 'text':
      return utf8(bytes).split('\n')
    default:
      return hexLines(bytes)
  }
}

interface PartProps {
  readonly title: string
  readonly sides: readonly [Side, Side]
  readonly read: (side: Side) => readonly string[]
  readonly isAll: boolean
}

const MAX_SHOWN = 5_000

function Part({ title, sides, read, isAll }: PartProps) {
  const lines = useMemo(() => diffLines(read(sides[0]), read(sides[1])), [sides])
  const differing = lines.filter(({ a, b }) => a !== b).length
  const shown = (isAll ? lines : lines.filter(({ a, b }) => a !== b)).slice(0, MAX_SHOWN)
  if (lines.length === 0) return null
  return (
    <section aria-label={title}>
      <h2>
        {title} <small>{differing === 0 ? 'the same' : `${differing} of ${lines.length} lines differ`}</small>
      </h2>
      {shown.length > 0 && (
        <div class="scroll" role="region" aria-label={`${title}, side by side`} tabIndex={0}>
          <table class="diff">
            <caption class="unseen">{title}</caption>
            <thead class="unseen">
              <tr>
                <th scope="col">first</th>
                <th scope="col">difference</th>
                <th scope="col">second</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((line, i) => (
                <DiffRow key={i} line={line} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function DiffRow({ line: { a, b } }: { readonly line: DiffLine }) {
  const kind = a === b ? 'same' : a === undefined ? 'added' : b === undefined ? 'removed' : 'changed'
  const sign = kind === 'same' ? ' ' : kind === 'added' ? '+' : kind === 'removed' ? '−' : '≠'
  return (
    <tr class={kind}>
      <td>{a ?? ''}</td>
      <td class="sign">
        <span aria-hidden="true">{sign}</span>
        <span class="unseen">{kind}</span>
      </td>
      <td>{b ?? ''}</td>
    </tr>
  )
}
