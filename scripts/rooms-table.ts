/** Writes the room table of .dependency-cruiser.cjs into ARCHITECTURE.md: `node --import tsx scripts/rooms-table.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runInNewContext } from 'node:vm'

const pathOf = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))
const PAGE = pathOf('ARCHITECTURE.md')
const TABLE = /(?<=<!-- rooms:begin -->\n).*?(?=\n<!-- rooms:end -->)/s

/** The rows by room, and the modules of Node that are called sockets. */
interface Rooms {
  readonly ROOMS: Readonly<Record<string, Row>>
  readonly SOCKETS: readonly string[]
}

/** What the files of one room may import. */
interface Row {
  readonly rooms?: readonly string[]
  readonly npm?: readonly string[]
  readonly node?: readonly string[]
  readonly type?: readonly string[]
}

/** Reads the rules. */
export function readRooms(): Rooms {
  const source = /^const PLAIN.*?(?=^const escape)/ms.exec(readFileSync(pathOf('.dependency-cruiser.cjs'), 'utf8'))![0]
  return runInNewContext(`${source}; ({ ROOMS, SOCKETS })`) as Rooms
}

/** Renders the table as Markdown. */
export function renderRooms({ ROOMS, SOCKETS }: Rooms = readRooms()): string {
  const list = (names: readonly string[]): string => (names.length === 0 ? '–' : names.join(', '))
  const modules = ({ node = [], type = [] }: Row): string => {
    const named = SOCKETS.every(name => node.includes(name)) ? ['sockets', ...node.filter(name => !SOCKETS.includes(name))] : [...node]
    return list(type.length > 0 ? [...named, `types of ${type.join(', ')}`] : named)
  }
  const rows = Object.entries(ROOMS).map(
    ([room, row]) => `| \`${room}\` | ${list(row.rooms ?? [])} | ${list(row.npm ?? [])} | ${modules(row)} |`,
  )
  return ['| room | may import the rooms | packages | modules of Node |', '|---|---|---|---|', ...rows].join('\n')
}

/** Returns the table as the page has it. */
export const tableOfPage = (): string => TABLE.exec(readFileSync(PAGE, 'utf8'))![0]

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = readFileSync(PAGE, 'utf8')
  writeFileSync(
    PAGE,
    page.replace(TABLE, () => renderRooms()),
  )
}
