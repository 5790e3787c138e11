import type { RefObject } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

/** Rows above and below what can be seen, so that scrolling finds them drawn. */
const SPARE = 12
/** Height of a row until one was measured, pixels. */
const ROW_PX = 34

/** The part of many rows that is drawn. */
export interface RowWindow {
  /** Of the element that scrolls. */
  readonly box: RefObject<HTMLDivElement | null>
  readonly first: number
  /** Behind the last one. */
  readonly last: number
  /** Heights of what stands for the rows before and behind, pixels. */
  readonly above: number
  readonly below: number
  readonly onScroll: () => void
}

/**
 * Draws of many rows of one height only those that can be seen. Whoever has the focus in a row that is not drawn any more keeps it at the element that
 * scrolls, so that the keys go on.
 * @param count  of rows; those that are drawn are `tr[data-row]`
 */
export function useRowWindow(count: number): RowWindow {
  const box = useRef<HTMLDivElement>(null)
  const [view, setView] = useState({ top: 0, height: 800, rowPx: ROW_PX })
  const hadFocus = useRef(false)
  const look = (): void => {
    const element = box.current
    if (element === null) return
    const top = element.scrollTop
    const height = element.clientHeight
    const rowPx = element.querySelector('tr[data-row]')?.getBoundingClientRect().height ?? ROW_PX
    setView(before =>
      before.top === top && before.height === height && Math.abs(before.rowPx - rowPx) < 0.25 ? before : { top, height, rowPx },
    )
  }
  useEffect(() => {
    const element = box.current
    if (element === null) return
    const observer = new ResizeObserver(look)
    observer.observe(element)
    const enter = (): void => void (hadFocus.current = true)
    const leave = ({ relatedTarget }: FocusEvent): void => {
      if (relatedTarget instanceof Node && !element.contains(relatedTarget)) hadFocus.current = false
    }
    element.addEventListener('focusin', enter)
    element.addEventListener('focusout', leave)
    return () => {
      observer.disconnect()
      element.removeEventListener('focusin', enter)
      element.removeEventListener('focusout', leave)
    }
  }, [])
  const { top, height, rowPx } = view
  const first = Math.max(0, Math.min(Math.floor(top / rowPx) - SPARE, count - 1))
  const last = Math.min(count, Math.ceil((top + height) / rowPx) + SPARE)
  useLayoutEffect(() => {
    look()
    if (hadFocus.current && document.activeElement === document.body) box.current?.focus({ preventScroll: true })
  }, [first, last, count])
  return { box, first, last, above: first * rowPx, below: Math.max(0, count - last) * rowPx, onScroll: look }
}
