import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Help } from './help.tsx'
import type { Page } from './page.ts'
import { go, hrefOf, useRoute } from './route.ts'
import { savedScheme, setScheme, type Scheme } from './scheme.ts'

const NEXT_SCHEME: Readonly<Record<Scheme, Scheme>> = { system: 'dark', dark: 'light', light: 'system' }
const SCHEME_WORDS: Readonly<Record<Scheme, string>> = { system: 'Colours: system', dark: 'Colours: dark', light: 'Colours: light' }

/** Properties of the frame around all pages. */
export interface ShellProps {
  readonly pages: readonly Page[]
  /** Stands beside the name of the program. */
  readonly state?: ComponentChildren
  /** Stands at the end of the menu. */
  readonly menuEnd?: ComponentChildren
}

/** Menu, keyboard, and the page that the address names. */
export function Shell({ pages, state, menuEnd }: ShellProps) {
  const { path, query } = useRoute()
  const [isHelp, setHelp] = useState(false)
  const [isMenu, setMenu] = useState(false)
  const [scheme, setShown] = useState(savedScheme)
  const main = useRef<HTMLElement>(null)
  const page = pages.find(({ name }) => name === path[0]) ?? (path.length === 0 ? pages[0] : undefined)
  const turn = (): void => {
    const next = NEXT_SCHEME[savedScheme()]
    setScheme(next)
    setShown(next)
  }
  useKeys(pages, { help: () => setHelp(true), turn })

  const isFirst = useRef(true)
  useEffect(() => {
    document.title = `${page?.title ?? 'Not found'} – socket-gateway`
    setMenu(false)
    // Whoever hears the page is told where they are; the first page is read by itself.
    if (!isFirst.current) main.current?.focus()
    isFirst.current = false
  }, [page?.name])

  return (
    <>
      <a class="skip" href="#main" onClick={event => (event.preventDefault(), main.current?.focus())}>
        To the content
      </a>
      <header class="top">
        <button type="button" class="menu-button" aria-expanded={isMenu} aria-controls="menu" onClick={() => setMenu(!isMenu)}>
          Menu
        </button>
        <span class="brand">socket-gateway</span>
        <span class="state">{state}</span>
        <span class="top-end">
          <button type="button" class="plain" onClick={turn}>
            {SCHEME_WORDS[scheme]}
          </button>
          <button type="button" class="plain" aria-label="Help for the keyboard" onClick={() => setHelp(true)}>
            ?
          </button>
        </span>
      </header>
      <div class="frame">
        <nav id="menu" class={isMenu ? 'menu open' : 'menu'} aria-label="Pages">
          <ul>
            {pages
              .filter(({ isHidden }) => isHidden !== true)
              .map(({ name, title }) => (
                <li key={name}>
                  <a href={hrefOf([name])} aria-current={page?.name === name ? 'page' : undefined}>
                    {title}
                  </a>
                </li>
              ))}
          </ul>
          {menuEnd}
        </nav>
        <main id="main" ref={main} tabIndex={-1} aria-label={page?.title ?? 'Not found'}>
          {page === undefined ? <NotFound /> : page.show({ rest: path.slice(1), query })}
        </main>
      </div>
      {isHelp && <Help pages={pages} onClose={() => setHelp(false)} />}
    </>
  )
}

function NotFound() {
  return (
    <>
      <h1>Not found</h1>
      <p>
        There is no such page. <a href="#/">To the first page</a>
      </p>
    </>
  )
}

const isTyping = ({ target }: KeyboardEvent): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))

/** Keys that work everywhere. */
function useKeys(pages: readonly Page[], { help, turn }: { readonly help: () => void; readonly turn: () => void }): void {
  // Behind `g`; the page may be drawn anew before the next key comes.
  const going = useRef(false)
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') !== null) return
      if (isTyping(event)) {
        if (event.key === 'Escape') (event.target as HTMLElement).blur()
        return
      }
      const wasGoing = going.current
      going.current = event.key === 'g' && !wasGoing
      if (wasGoing) {
        const page = pages.find(({ letter }) => letter === event.key)
        if (page === undefined) return
        go(hrefOf([page.name]))
      } else if (event.key === '?') help()
      else if (event.key === 'd') turn()
      else if (event.key === 'r') window.dispatchEvent(new Event('console-refresh'))
      else if (event.key === '/') document.querySelector<HTMLElement>('main input[type=search]')?.focus()
      else if (event.key === 'Escape') document.querySelector<HTMLElement>('main a.back')?.click()
      else return
      event.preventDefault()
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  })
}
