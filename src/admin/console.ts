import { readFileSync } from 'node:fs'

/** One file of the page. */
export interface ConsoleFile {
  readonly type: string
  readonly csp: string
  readonly text: string
}

// Everything comes from here, nothing is inline, nobody frames it.
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const FILES = { '/': 'html', '/console.css': 'css', '/console.js': 'js' } as const

/** Reads the page for people, three files that load nothing else: path → file. The build puts them beside this module. */
export function readConsole(): ReadonlyMap<string, ConsoleFile> {
  const read = (type: string): ConsoleFile => {
    const text = readFileSync(new URL(`console/console.${type}`, import.meta.url), 'utf8')
    return { type, csp: CSP, text }
  }
  return new Map(Object.entries(FILES).map(([path, type]) => [path, read(type)]))
}
