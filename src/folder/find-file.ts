import { realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

/** The thing that a path leads to. */
export type Found =
  | { readonly kind: 'file'; /** Below the root, as the system names it, links followed. */ readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  /** A folder without the slash that relative links need. */
  | { readonly kind: 'redirect'; readonly to: string }
  | { readonly kind: 'nothing' }

const NOTHING: Found = Object.freeze({ kind: 'nothing' })
/** RFC 8615: its dot hides nothing. */
const WELL_KNOWN = '.well-known'

/** Is this a name that `ls` leaves out? */
export const isHidden = (name: string): boolean => name.startsWith('.') && name !== WELL_KNOWN

/** The segments of a path, decoded; undefined when it is none that a file of ours could have. */
function segmentsOf(path: string): readonly string[] | undefined {
  try {
    const segments = path.split('/').map(decodeURIComponent)
    // A separator or a device of some system within a segment would lead elsewhere.
    const isOdd = segments.some(segment => /[/\\\0]/.test(segment) || segment === '..' || (sep === '\\' && segment.includes(':')))
    return isOdd ? undefined : segments.filter(segment => segment !== '' && segment !== '.')
  } catch {
    return undefined
  }
}

/** Where links lead in the end; undefined where nothing is, or nothing that may be known. */
const resolved = (path: string): Promise<string | undefined> => realpath(path).catch(() => undefined)

/** The folder whose files are found. */
export interface Root {
  /** Without links in it. */
  readonly path: string
  readonly showsHidden: boolean
}

/** The path below the root that a place on the disk has, links followed; undefined: it is outside, or hidden. */
async function placeBelow(root: Root, place: string): Promise<string | undefined> {
  const real = await resolved(place)
  if (real === undefined) return undefined
  const below = relative(root.path, real)
  const names = below.split(sep)
  if (names[0] === '..' || join(root.path, below) !== real) return undefined
  return !root.showsHidden && names.some(isHidden) ? undefined : below
}

/**
 * Finds what the path of a URL means below a root. Nothing that lies outside of it is ever found, whatever the path says and whatever
 * links there are; hidden names, and what links lead to under one, are not found unless the root shows them.
 * @param path  as it came, encoded, without its query
 */
export async function findFile(root: Root, path: string): Promise<Found> {
  const segments = segmentsOf(path)
  if (segments === undefined || (!root.showsHidden && segments.some(isHidden))) return NOTHING
  const below = await placeBelow(root, join(root.path, ...segments))
  if (below === undefined) return NOTHING
  const facts = await stat(join(root.path, below)).catch(() => undefined)
  const isFolderPath = path.endsWith('/')
  if (facts?.isDirectory() === true) {
    if (!isFolderPath) return { kind: 'redirect', to: `/${segments.map(encodeURIComponent).join('/')}/` }
    const index = await placeBelow(root, join(root.path, below, 'index.html'))
    if (index !== undefined && (await isFile(join(root.path, index)))) return { kind: 'file', path: index }
    return { kind: 'folder', path: below }
  }
  // A pipe would be read for ever, and a device is nobody's business.
  return facts?.isFile() === true && !isFolderPath ? { kind: 'file', path: below } : NOTHING
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    facts => facts.isFile(),
    () => false,
  )
