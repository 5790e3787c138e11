import { ms } from '../ui/format.ts'
import type { Phases } from './records.ts'

const NAMES: readonly (readonly [keyof Phases, string, string])[] = [
  ['edge', 'edge', 'from the head of the request to its stream'],
  ['link', 'link', 'between the layers, there and back'],
  ['connect', 'connect', 'until a connection to the origin was there'],
  ['firstByte', 'first byte', 'until the origin began to answer'],
  ['body', 'body', 'from the head of the answer to its end'],
]

/** Where the time went, each phase after the one before. */
export function Timing({ phases, totalMs }: { readonly phases: Phases; readonly totalMs: number | null }) {
  const known = NAMES.map(([key]) => phases[key] ?? 0)
  const sum = Math.max(
    totalMs ?? 0,
    known.reduce((total, value) => total + value, 0),
    0.001,
  )
  let from = 0
  return (
    <section aria-label="Where the time went">
      <h2>Time</h2>
      <table class="waterfall">
        <caption class="unseen">Phases of the request</caption>
        <thead class="unseen">
          <tr>
            <th scope="col">phase</th>
            <th scope="col">time</th>
            <th scope="col">share</th>
          </tr>
        </thead>
        <tbody>
          {NAMES.map(([key, name, meaning]) => {
            const value = phases[key]
            const left = (from / sum) * 100
            from += value ?? 0
            return (
              <tr key={key}>
                <th scope="row" title={meaning}>
                  {name}
                </th>
                <td class="number">{value === null ? 'not known here' : value === 0 ? '0 ms' : ms(value)}</td>
                <td class="bar-place">
                  <span class={`bar ${key}`} style={{ marginLeft: `${left}%`, width: `${((value ?? 0) / sum) * 100}%` }} />
                  <span class="unseen">{Math.round(((value ?? 0) / sum) * 100)} %</span>
                </td>
              </tr>
            )
          })}
          <tr>
            <th scope="row">in all</th>
            <td class="number">{totalMs === null ? 'not over' : ms(totalMs)}</td>
            <td />
          </tr>
        </tbody>
      </table>
    </section>
  )
}
