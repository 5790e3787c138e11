import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { markup } from '../pages/markup.ts'
import { renderPage } from '../pages/page.ts'
import { isHidden, type Root } from './find-file.ts'

/** Names that one page has. */
const MAX_NAMES = 1_000

/**
 * The page of a folder: what can be had there.
 * @param below  its path below the root @param shown  its path in the URL, decoded, with slashes around it
 */
export async function listingOf(root: Root, below: string, shown: string): Promise<string> {
  const entries = await readdir(join(root.path, below), { withFileTypes: true })
  const names = entries
    .filter(entry => root.showsHidden || !isHidden(entry.name))
    // What a link leads to is found out when somebody asks: a page of links would be as many questions to the disk.
    .filter(entry => entry.isFile() || entry.isDirectory() || entry.isSymbolicLink())
    .map(entry => ({ name: entry.name, isFolder: entry.isDirectory() }))
    .sort((a, b) => Number(b.isFolder) - Number(a.isFolder) || (a.name < b.name ? -1 : 1))
  const rows = names.slice(0, MAX_NAMES).map(({ name, isFolder }) => {
    const slash = isFolder ? '/' : ''
    return markup`<li><a href="./${encodeURIComponent(name)}${slash}">${name}${slash}</a></li>\n`
  })
  const isTop = shown === '/'
  return renderPage({
    title: shown,
    body: [
      markup`<ul>${isTop ? undefined : markup`<li><a href="../">../</a></li>\n`}${rows}</ul>`,
      names.length > MAX_NAMES ? markup`<p>and ${names.length - MAX_NAMES} more</p>` : undefined,
      names.length === 0 ? markup`<p>This folder is empty.</p>` : undefined,
    ],
  })
}
