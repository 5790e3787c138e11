/** What tests take out of the pages. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../support/process.ts'

/** The text of a page, by its path from the root of the repository. */
export const readPage = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** The contents of the fenced blocks of `language` in `page`, in order. */
export const blocksOf = (page: string, language: string): string[] =>
  [...page.matchAll(/^```(\w*)[^\n]*\n(.*?)^```$/gms)].filter(([, found]) => found === language).map(([, , text]) => text!)

/** The block of `language` that holds `text`. @throws Error when not exactly one does */
export const blockWith = (page: string, language: string, text: string): string => {
  const found = blocksOf(page, language).filter(block => block.includes(text))
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${language} hold ${JSON.stringify(text)}, expected one`)
  return found[0]!
}

/** The part of `page` under the heading of this text, up to the next heading that is no deeper. */
export const sectionOf = (page: string, heading: string): string => {
  const text = page.replace(/^```.*?^```$/gms, block => block.replace(/^#/gm, ' #')) // comments in code are no headings
  const at = new RegExp(`^(#+) ${heading.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}$`, 'm').exec(text)
  if (at === null) throw new Error(`no heading ${JSON.stringify(heading)}`)
  const rest = text.slice(at.index + at[0].length)
  const next = new RegExp(`^#{1,${at[1]!.length}} `, 'm').exec(rest)
  return next === null ? rest : rest.slice(0, next.index)
}
