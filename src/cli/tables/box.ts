import Table from 'cli-table3'
import { printable } from '../../telemetry/pretty.ts'

/** A cell: a text, or one line for each of several. */
export type Cell = string | readonly string[]

/** The content of a table. */
export interface Box {
  /** In capitals; absent: a table without a head. */
  readonly head?: readonly string[]
  /** Numbers of the columns that stand to the right. */
  readonly right?: readonly number[]
  readonly rows: readonly (readonly Cell[])[]
}

/** A line of a cell: what others have named cannot break the table, nor reach the terminal. */
const textOf = (cell: Cell): string => (typeof cell === 'string' ? [cell] : cell).map(printable).join('\n')

/** A table drawn as the client of 2021 draws it: its scripts take the fourth line for the first row. Ends in a line break. */
export function formatBox({ head, right = [], rows }: Box): string {
  const columns = head?.length ?? rows[0]?.length ?? 0
  const table = new Table({
    ...(head !== undefined && { head: [...head] }),
    colAligns: Array.from({ length: columns }, (_, column) => (right.includes(column) ? 'right' : 'left')),
    style: { head: [], border: [], compact: true },
  })
  table.push(...rows.map(row => row.map(textOf)))
  return `${table.toString()}\n`
}
