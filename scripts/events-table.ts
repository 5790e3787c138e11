/** Writes the catalogue of events into docs/events.md: `node --import tsx scripts/events-table.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { EVENTS } from '../src/events/catalogue.ts'

const PAGE = fileURLToPath(new URL('../docs/events.md', import.meta.url))
const TABLE = /(?<=<!-- catalogue:begin -->\n).*?(?=\n<!-- catalogue:end -->)/s

/** Renders the catalogue as Markdown. */
export const renderEvents = (): string =>
  [
    '| name | severity | message | fields |',
    '|---|---|---|---|',
    ...Object.entries(EVENTS).map(([name, { severity, message, fields }]) => {
      const described = Object.entries(fields).map(([field, meaning]) => `\`${field}\`: ${meaning}`)
      return `| \`${name}\` | ${severity} | ${message} | ${described.join('; ') || '–'} |`
    }),
  ].join('\n')

/** Returns the table that stands in the page. */
export const eventsOfPage = (): string => TABLE.exec(readFileSync(PAGE, 'utf8'))![0]

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = readFileSync(PAGE, 'utf8')
  writeFileSync(
    PAGE,
    page.replace(
      /<!-- catalogue:begin -->\n[^]*<!-- catalogue:end -->/,
      () => `<!-- catalogue:begin -->\n${renderEvents()}\n<!-- catalogue:end -->`,
    ),
  )
}
