import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

/** The tone of a value: as it should be, not quite, not at all, or less important. */
export type Tone = 'good' | 'warn' | 'bad' | 'dim' | ''

/** One column of a table. */
export interface Column<T> {
  readonly name: string
  readonly cell: (row: T) => ComponentChildren
  readonly tone?: (row: T) => Tone
  readonly isNumber?: boolean
  /** Texts that may be long are wrapped. */
  readonly isLong?: boolean
  /** A column without it is not sorted by. */
  readonly order?: (row: T) => string | number
}

/** Properties of a table. */
export interface TableProps<T> {
  /** The subject of the table, for those who hear it. */
  readonly caption: string
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly keyOf: (row: T) => string
  readonly empty: ComponentChildren
  /** Buttons at the end of a row. */
  readonly actions?: (row: T) => ComponentChildren
}

/** A table of a few hundred rows at most, which becomes cards on a phone. */
export function Table<T>({ caption, columns, rows, keyOf, empty, actions }: TableProps<T>) {
  const [sorting, setSorting] = useState<{ readonly name: string; readonly isDown: boolean } | undefined>()
  if (rows.length === 0) return <p class="empty">{empty}</p>
  const order = columns.find(({ name }) => name === sorting?.name)?.order
  const shown = order === undefined ? rows : rows.toSorted((a, b) => compare(order(a), order(b)) * (sorting?.isDown === true ? -1 : 1))
  const sortBy = (name: string): void => setSorting(before => ({ name, isDown: before?.name === name && !before.isDown }))
  return (
    <div class="scroll" role="region" aria-label={`${caption}, table`} tabIndex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, isNumber, order: sortable }) => (
              <th
                key={name}
                scope="col"
                class={isNumber === true ? 'number' : ''}
                aria-sort={sorting?.name === name ? (sorting.isDown ? 'descending' : 'ascending') : undefined}
              >
                {sortable === undefined ? (
                  name
                ) : (
                  <button type="button" class="plain" onClick={() => sortBy(name)}>
                    {name}
                    <span aria-hidden="true">{sorting?.name === name ? (sorting.isDown ? ' ↓' : ' ↑') : ''}</span>
                  </button>
                )}
              </th>
            ))}
            {actions !== undefined && (
              <th scope="col">
                <span class="unseen">actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {shown.map(row => (
            <tr key={keyOf(row)}>
              {columns.map(({ name, cell, tone, isNumber, isLong }) => (
                <td
                  key={name}
                  data-name={name}
                  class={`${isNumber === true ? 'number ' : ''}${isLong === true ? 'long ' : ''}${tone?.(row) ?? ''}`}
                >
                  <span>{cell(row)}</span>
                </td>
              ))}
              {actions !== undefined && <td class="actions">{actions(row)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const compare = (a: string | number, b: string | number): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b))
