/** Tables of results: the same Markdown on a terminal and in docs/benchmarks.md. */

/** A column of figures. */
export interface Column {
  readonly key: string
  readonly title: string
  /** Digits after the point. */
  readonly digits: number
}

/** One line of a table. */
export interface Row {
  readonly label: string
  /** By key of a column; what is not there prints as –. */
  readonly values: Readonly<Record<string, number | undefined>>
}

/** What the gateway must reach. */
export interface Requirement {
  readonly what: string
  readonly unit: string
  readonly limit: { readonly atMost: number } | { readonly atLeast: number }
  readonly measured: number
}

/** One measurement. */
export interface Group {
  readonly name: string
  readonly title: string
  readonly columns: readonly Column[]
  readonly rows: readonly Row[]
  readonly requirements: readonly Requirement[]
}

/** Lines of a Markdown table with its columns aligned: the first to the left, figures to the right. */
export function markdownTable(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...body.map(cells => (cells[column] ?? '').length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...body.map(line)].join('\n')
}

/** A figure with thousands separated, – when there is none. */
export const formatFigure = (value: number | undefined, digits: number): string =>
  value === undefined || !Number.isFinite(value)
    ? '–'
    : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** The table of one measurement. */
export const groupTable = ({ columns, rows }: Group): string =>
  markdownTable(
    ['', ...columns.map(column => column.title)],
    rows.map(row => [row.label, ...columns.map(column => formatFigure(row.values[column.key], column.digits))]),
  )

/** True when it is reached; a figure that is missing is not. */
export const isReached = ({ limit, measured }: Requirement): boolean =>
  'atMost' in limit ? measured <= limit.atMost : measured >= limit.atLeast

const withUnit = (value: string, unit: string): string => (unit === '×' ? `${value} ×` : `${value} ${unit}`)

/** The table of what was required and what was reached; empty without requirements. */
export function requirementsTable(groups: readonly Group[]): string {
  const requirements = groups.flatMap(group => group.requirements)
  if (requirements.length === 0) return ''
  return markdownTable(
    ['required of the gateway', 'limit', 'measured', ''],
    requirements.map(requirement => {
      const { what, unit, limit, measured } = requirement
      const digits = unit === '×' ? 2 : 1
      const bound = 'atMost' in limit ? `≤ ${limit.atMost}` : `≥ ${limit.atLeast}`
      return [what, withUnit(bound, unit), withUnit(formatFigure(measured, digits), unit), isReached(requirement) ? 'PASS' : 'FAIL']
    }),
  )
}

/** One group as it is printed when it is done, with what was required of it. */
export const groupText = (group: Group): string => {
  const verdicts = requirementsTable([group])
  return `### ${group.title}\n\n${groupTable(group)}${verdicts === '' ? '' : `\n\n${verdicts}`}`
}

/** All that was required, in one table; empty when nothing was. */
export const requirementsText = (groups: readonly Group[]): string =>
  groups.some(group => group.requirements.length > 0) ? `### Required\n\n${requirementsTable(groups)}` : ''

/** Everything, as it stands between the markers of the page. */
export const report = (facts: readonly string[], groups: readonly Group[]): string =>
  [
    facts.map(fact => `- ${fact}`).join('\n'),
    ...groups.map(group => `### ${group.title}\n\n${groupTable(group)}`),
    ...[requirementsText(groups)].filter(text => text !== ''),
  ].join('\n\n')

const [BEGIN, END] = ['<!-- bench:begin -->', '<!-- bench:end -->']

/** The page with `text` between its markers. @throws Error when it has no markers */
export function replaceBetweenMarkers(page: string, text: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`the page has no ${BEGIN} … ${END}`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${page.slice(end)}`
}
