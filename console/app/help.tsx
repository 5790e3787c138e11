import { Dialog } from '../ui/dialog.tsx'
import type { Page } from './page.ts'

const KEYS: readonly (readonly [string, string])[] = [
  ['?', 'this help'],
  ['/', 'to the search field'],
  ['r', 'ask again for what the page shows'],
  ['d', 'light, dark, as the system says'],
  ['Escape', 'close, or back to the list'],
  ['Tab', 'to the next thing'],
]
const LIST_KEYS: readonly (readonly [string, string])[] = [
  ['↓ ↑, j k', 'next and previous row'],
  ['Page Down, Page Up, Home, End', 'far'],
  ['Enter', 'open the row'],
  ['x', 'mark the row, two of them to compare'],
]

/** The keys that everything works by. */
export function Help({ pages, onClose }: { readonly pages: readonly Page[]; readonly onClose: () => void }) {
  return (
    <Dialog title="By keyboard" onClose={onClose}>
      <div class="columns">
        <Keys title="Everywhere" keys={KEYS} />
        <Keys title="In a list" keys={LIST_KEYS} />
        <Keys
          title="Go to"
          keys={pages.filter(({ isHidden }) => isHidden !== true).map(({ letter, title }) => [`g ${letter}`, title] as const)}
        />
      </div>
      <div class="buttons">
        <button type="button" data-first onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  )
}

function Keys({ title, keys }: { readonly title: string; readonly keys: readonly (readonly [string, string])[] }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl class="keys">
        {keys.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
