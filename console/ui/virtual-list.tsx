import { Component, type ComponentChildren } from 'preact'
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

/** Properties of a list. */
export interface VirtualListProps<T> {
  readonly label: string
  /** Names of the columns, in the order of the cells. */
  readonly columns: readonly { readonly name: string; readonly isNumber?: boolean }[]
  /** Widths, as `grid-template-columns` has them. */
  readonly template: string
  readonly rows: readonly T[]
  readonly keyOf: (row: T) => string
  readonly cells: (row: T) => readonly ComponentChildren[]
  /** Enter or a click. */
  readonly onOpen: (row: T) => void
  /** The row that is marked, by its key. */
  readonly marked?: ReadonlySet<string>
  /** The key of a letter on a row. */
  readonly onKey?: (key: string, row: T) => boolean
}

const ROW_PX = 32
/** Rows above and below what can be seen, so that scrolling finds them drawn. */
const SPARE = 8

/**
 * A list of any length of which only what can be seen is drawn. Arrow keys (or j, k), Page Up, Page Down, Home and End move, Enter opens. While
 * it is scrolled down, new rows at the top do not move what is read.
 */
export function VirtualList<T>(props: VirtualListProps<T>) {
  const { label, columns, template, rows, keyOf, cells, marked, onKey, onOpen } = props
  const box = useRef<HTMLDivElement>(null)
  const [view, setView] = useState({ top: 0, height: 600 })
  const [activeKey, setActiveKey] = useState<string | undefined>()
  const wantsFocus = useRef(false)
  const firstKey = useRef<string | undefined>(undefined)
  const activeIndex = Math.max(0, activeKey === undefined ? 0 : rows.findIndex(row => keyOf(row) === activeKey))

  useEffect(() => {
    const element = box.current!
    const observer = new ResizeObserver(() => setView({ top: element.scrollTop, height: element.clientHeight }))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  useLayoutEffect(() => {
    const element = box.current!
    const before = firstKey.current
    firstKey.current = rows[0] === undefined ? undefined : keyOf(rows[0])
    if (before === undefined || element.scrollTop < ROW_PX || before === firstKey.current) return
    const moved = rows.findIndex(row => keyOf(row) === before)
    if (moved > 0) element.scrollTop += moved * ROW_PX
  }, [rows])

  useLayoutEffect(() => {
    if (!wantsFocus.current) return
    wantsFocus.current = false
    box.current?.querySelector<HTMLElement>('[role=row][tabindex="0"]')?.focus({ preventScroll: true })
  })

  const move = (index: number): void => {
    const next = Math.min(rows.length - 1, Math.max(0, index))
    const row = rows[next]
    const element = box.current
    if (row === undefined || element === null) return
    const head = ROW_PX
    const top = next * ROW_PX
    if (top < element.scrollTop) element.scrollTop = top
    else if (top + ROW_PX > element.scrollTop + element.clientHeight - head) element.scrollTop = top + ROW_PX + head - element.clientHeight
    setView({ top: element.scrollTop, height: element.clientHeight })
    wantsFocus.current = true
    setActiveKey(keyOf(row))
  }

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const page = Math.max(1, Math.floor(view.height / ROW_PX) - 2)
    const steps = new Map([
      ['ArrowDown', activeIndex + 1],
      ['j', activeIndex + 1],
      ['ArrowUp', activeIndex - 1],
      ['k', activeIndex - 1],
      ['PageDown', activeIndex + page],
      ['PageUp', activeIndex - page],
      ['Home', 0],
      ['End', rows.length - 1],
    ])
    const next = steps.get(event.key)
    const row = rows[activeIndex]
    if (next !== undefined) move(next)
    else if (row === undefined) return
    else if (event.key === 'Enter') onOpen(row)
    else if (onKey?.(event.key, row) !== true) return
    event.preventDefault()
    event.stopPropagation()
  }

  const first = Math.max(0, Math.floor(view.top / ROW_PX) - SPARE)
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW_PX) + SPARE)
  const visible = rows.slice(first, last)
  // The row that has the focus stays reachable by Tab when it is not drawn: then the first one that is.
  const isActiveDrawn = activeIndex >= first && activeIndex < last
  const focusIndex = isActiveDrawn ? activeIndex : first
  const slots = useSlots(visible.map(keyOf), activeKey)
  const latest = useRef(props)
  latest.current = props
  const focused = useCallback((row: T): void => setActiveKey(latest.current.keyOf(row)), [])
  const open = useCallback((row: T): void => {
    setActiveKey(latest.current.keyOf(row))
    latest.current.onOpen(row)
  }, [])
  return (
    <div
      ref={box}
      class="list"
      role="grid"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      onKeyDown={onKeyDown}
      onScroll={event => setView({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })}
    >
      <div class="list-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
        {columns.map(({ name, isNumber }) => (
          <span key={name} role="columnheader" class={isNumber === true ? 'number' : ''}>
            {name}
          </span>
        ))}
      </div>
      <div role="rowgroup" class="list-body" style={{ height: `${rows.length * ROW_PX}px` }}>
        {visible.map((row, offset) => {
          const index = first + offset
          return (
            <Row
              key={slots[offset]}
              row={row}
              index={index}
              isMarked={marked?.has(keyOf(row)) ?? false}
              isStop={index === focusIndex}
              cells={cells}
              columns={columns}
              template={template}
              onOpen={open}
              onFocus={focused}
            />
          )
        })}
      </div>
    </div>
  )
}

/**
 * Gives each row that is drawn an element: the one that it has, or one that a row had which is not drawn any more, since new ones take the browser far longer
 * than other texts in them.
 * @param kept  the row that may have the focus: its element goes when it is not drawn, so that nobody is at another row without being told
 * @returns numbers of elements, one for each of `keys`
 */
function useSlots(keys: readonly string[], kept: string | undefined): readonly number[] {
  const slots = useRef(new Map<string, number>())
  const next = useRef(0)
  const drawn = new Set(keys)
  const free = [...slots.current].filter(([key]) => !drawn.has(key) && key !== kept).map(([, slot]) => slot)
  let used = 0
  const given = keys.map(key => slots.current.get(key) ?? free[used++] ?? next.current++)
  slots.current = new Map(keys.map((key, i) => [key, given[i]!]))
  return given
}

interface RowProps<T> extends Pick<VirtualListProps<T>, 'columns' | 'template' | 'cells'> {
  readonly row: T
  readonly index: number
  readonly isMarked: boolean
  /** Tab stops at it. */
  readonly isStop: boolean
  readonly onOpen: (row: T) => void
  readonly onFocus: (row: T) => void
}

/** A row, which is drawn anew only when something of it has changed. */
class Row<T> extends Component<RowProps<T>> {
  override shouldComponentUpdate(next: RowProps<T>): boolean {
    const { row, index, isMarked, isStop, cells } = this.props
    return row !== next.row || index !== next.index || isMarked !== next.isMarked || isStop !== next.isStop || cells !== next.cells
  }

  override render({ row, index, isMarked, isStop, cells, columns, template, onOpen, onFocus }: RowProps<T>) {
    return (
      <div
        role="row"
        class="list-row"
        aria-rowindex={index + 2}
        aria-selected={isMarked}
        tabIndex={isStop ? 0 : -1}
        style={{ transform: `translateY(${index * ROW_PX}px)`, gridTemplateColumns: template }}
        onClick={() => onOpen(row)}
        onFocus={() => onFocus(row)}
      >
        {cells(row).map((cell, column) => (
          <span key={column} role="gridcell" class={columns[column]?.isNumber === true ? 'number' : ''}>
            {cell}
          </span>
        ))}
      </div>
    )
  }
}
