import type { ComponentChildren } from 'preact'

/** The properties of a page. */
export interface PageProps {
  /** The rest of the path, behind the name of the page. */
  readonly rest: readonly string[]
  readonly query: URLSearchParams
}

/** One page of the console. */
export interface Page {
  /** The first part of its path. */
  readonly name: string
  readonly title: string
  /** Goes there after `g`. */
  readonly letter: string
  readonly show: (props: PageProps) => ComponentChildren
  /** Not in the menu. */
  readonly isHidden?: boolean
}
