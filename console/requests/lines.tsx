import { useState } from 'preact/hooks'
import type { Fault } from './bodies/json.ts'

/** Lines that are drawn at once. */
const STEP = 2_000
/** Characters of a line that are drawn. */
const MAX_LINE = 20_000

/** Properties of a text with line numbers. */
export interface LinesProps {
  readonly lines: readonly string[]
  readonly label: string
  readonly fault?: Fault
}

/** A text with line numbers, and the place where its syntax breaks. */
export function Lines({ lines, label, fault }: LinesProps) {
  const [max, setMax] = useState(STEP)
  const needed = Math.max(max, fault === undefined ? 0 : fault.line + 5)
  const shown = lines.slice(0, needed)
  return (
    <>
      {fault !== undefined && (
        <p class="bad" role="note">
          Line {fault.line}, column {fault.column}: {fault.message}.
        </p>
      )}
      <pre class="lines" tabIndex={0} role="region" aria-label={`${label}: text`}>
        <code>
          {shown.map((line, i) => (
            <Line key={i} line={line} column={fault?.line === i + 1 ? fault.column : undefined} />
          ))}
        </code>
      </pre>
      {lines.length > needed && (
        <button type="button" onClick={() => setMax(needed + 10 * STEP)}>
          Show more ({lines.length - needed} lines)
        </button>
      )}
    </>
  )
}

function Line({ line, column }: { readonly line: string; readonly column: number | undefined }) {
  const text = line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}… (${line.length} characters)` : line
  if (column === undefined) return <span class="line">{`${text}\n`}</span>
  return (
    <span class="line broken">
      {text.slice(0, column - 1)}
      <mark>{text.slice(column - 1, column) || '␄'}</mark>
      {`${text.slice(column)}\n`}
    </span>
  )
}
