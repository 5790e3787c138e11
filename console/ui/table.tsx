import type { ComponentChildren } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { useRowWindow } from './row-window.ts'

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

/** From so many rows on, only those that can be seen are drawn, each of one line. */
const MANY = 200

/** A table of any length, which becomes cards on a phone. */
export function Table<T>(props: TableProps<T>) {
  const { columns, rows, empty } = props
  const [sorting, setSorting] = useState<Sorting | undefined>()
  const shown = useMemo(() => sorted(rows, columns, sorting), [rows, sorting])
  if (rows.length === 0) return <p class="empty">{empty}</p>
  const sortBy = (name: string): void => setSorting(before => ({ name, isDown: before?.name === name && !before.isDown }))
  const head = <Head {...props} sorting={sorting} sortBy={sortBy} />
  if (rows.length > MANY) return <ManyRows {...props} rows={shown} head={head} />
  return (
    <div class="scroll" role="region" aria-label={`${props.caption}, table`} tabIndex={0}>
      <table>
        {head}
        <tbody>
          {shown.map(row => (
            <tr key={props.keyOf(row)}>
              <Cells {...props} row={row} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface Sorting {
  readonly name: string
  readonly isDown: boolean
}

function ManyRows<T>(props: TableProps<T> & { readonly head: ComponentChildren }) {
  const { caption, rows, keyOf, columns, head } = props
  const { box, first, last, above, below, onScroll } = useRowWindow(rows.length)
  const width = columns.length + (props.actions === undefined ? 0 : 1)
  return (
    <div ref={box} class="scroll many" role="region" aria-label={`${caption}, table`} tabIndex={0} onScroll={onScroll}>
      <table aria-rowcount={rows.length + 1}>
        {head}
        <tbody>
          <tr aria-hidden="true" class="space">
            <td colSpan={width} style={{ height: `${above}px` }} />
          </tr>
          {rows.slice(first, last).map((row, offset) => (
            <tr key={keyOf(row)} data-row="" aria-rowindex={first + offset + 2}>
              <Cells {...props} row={row} />
            </tr>
          ))}
          <tr aria-hidden="true" class="space">
            <td colSpan={width} style={{ height: `${below}px` }} />
          </tr>
        </tbody>
      </table>
    </div>
  )
}

interface HeadProps<T> extends TableProps<T> {
  readonly sorting: Sorting | undefined
  readonly sortBy: (name: string) => void
}

function Head<T>({ caption, columns, actions, sorting, sortBy }: HeadProps<T>) {
  return (
    <>
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
    </>
  )
}

function Cells<T>({ columns, actions, row }: TableProps<T> & { readonly row: T }) {
  return (
    <>
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
    </>
  )
}

const texts = new Intl.Collator()

function sorted<T>(rows: readonly T[], columns: readonly Column<T>[], sorting: Sorting | undefined): readonly T[] {
  const order = columns.find(({ name }) => name === sorting?.name)?.order
  if (order === undefined) return rows
  const sign = sorting?.isDown === true ? -1 : 1
  const keyed = rows.map(row => ({ row, key: order(row) }))
  return keyed.sort((a, b) => compare(a.key, b.key) * sign).map(({ row }) => row)
}

const compare = (a: string | number, b: string | number): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : texts.compare(String(a), String(b))
