import { useEffect, useRef, useState } from 'preact/hooks'
import { asFault, send, type ApiFault } from '../api/client.ts'
import { readLines } from '../requests/read-lines.ts'
import { Fault } from '../ui/fault.tsx'
import { plural } from '../ui/format.ts'

/** A visitor of a socket, or how many lines were left out. */
interface LogLine {
  readonly text: string
  readonly [fact: string]: unknown
}

const MAX_LINES = 5_000
const DRAW_MS = 100
const RETRY_MS = 3_000

/** Visitors of a socket as they come: host, path, status, time; found by any of it. */
export function LiveLog({ path }: { readonly path: string }) {
  const [isOn, setOn] = useState(false)
  const [lines, setLines] = useState<readonly LogLine[]>([])
  const [fault, setFault] = useState<ApiFault | undefined>()
  const [wanted, setWanted] = useState('')
  const end = useRef<HTMLPreElement>(null)
  useEffect(() => {
    if (!isOn) return
    const controller = new AbortController()
    const { signal } = controller
    let waiting: LogLine[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const draw = (): void => {
      timer = undefined
      const those = waiting
      waiting = []
      if (!signal.aborted) setLines(before => [...before, ...those].slice(-MAX_LINES))
    }
    const follow = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          const response = await send('GET', path, { signal, timeoutMs: 0 })
          setFault(undefined)
          await readLines<LogLine>(response, line => {
            waiting.push(line)
            timer ??= setTimeout(draw, DRAW_MS)
          })
        } catch (error) {
          if (signal.aborted) return
          setFault(asFault(error))
        }
        await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      }
    }
    void follow()
    return () => {
      controller.abort()
      clearTimeout(timer)
    }
  }, [isOn, path])
  const shown = lines.filter(({ text }) => text.toLowerCase().includes(wanted.toLowerCase()))
  useEffect(() => {
    const element = end.current
    // Whoever has scrolled up to read stays there.
    if (element !== null && element.scrollHeight - element.scrollTop - element.clientHeight < 80) element.scrollTop = element.scrollHeight
  }, [shown.length])
  return (
    <section aria-label="Visitors">
      <h2>Visitors, as they come</h2>
      <div class="filters">
        <button type="button" aria-pressed={isOn} onClick={() => setOn(!isOn)}>
          {isOn ? 'Stop' : 'Watch'}
        </button>
        <label>
          Find
          <input type="search" value={wanted} onInput={event => setWanted(event.currentTarget.value)} />
        </label>
        <span class="dim" role="status">
          {plural(shown.length, 'line')}
          {isOn && fault === undefined ? ', live' : ''}
        </span>
      </div>
      {fault !== undefined && <Fault fault={fault} />}
      {isOn && shown.length === 0 && <p class="empty">Nobody has come yet.</p>}
      {shown.length > 0 && (
        <pre ref={end} class="lines log" tabIndex={0} role="log" aria-label="Visitors">
          {shown.map(({ text }, i) => (
            <span key={i} class="log-line">{`${text}\n`}</span>
          ))}
        </pre>
      )}
    </section>
  )
}
