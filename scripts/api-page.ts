/** Writes the tables of calls into docs/api.md: `node --import tsx scripts/api-page.ts`. */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { OPERATIONS } from '../src/api/api.ts'
import type { Dialect } from '../src/api/operation.ts'

/** The table of the calls of a dialect. */
export function callTable(dialect: Dialect): string {
  const rows = OPERATIONS.filter(operation => operation.dialect === dialect).map(
    ({ method, path, summary, isPublic }) => `|${isPublic ? ' ○' : ''} | \`${method.toUpperCase()} ${path}\` | ${summary} |`,
  )
  return ['| | call | does |', '|---|---|---|', ...rows].join('\n')
}

/** The page with its tables as they have to be. */
export const withTables = (page: string): string =>
  page.replace(
    /(<!-- (v1|compatible):begin -->\n).*?(<!-- \2:end -->)/gs,
    (_all, begin: string, dialect: string, end: string) => `${begin}${callTable(dialect as Dialect)}\n${end}`,
  )

const PAGE = new URL('../docs/api.md', import.meta.url)
if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(PAGE, withTables(await readFile(PAGE, 'utf8')))
