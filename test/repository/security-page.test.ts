/** The page about threats names tests, and they are there. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { readPage } from '../readme/markdown.ts'
import { ROOT } from '../support/process.ts'

/** Folders whose tables name their tests without them. */
const FOLDERS = ['', 'api', 'service', 'ssh']
/** Where nothing can be tested. */
const NONE = '–'

/** Rows of tables with a column `test` at their end, as cells. */
function rowsWithTests(page: string): readonly string[][] {
  let isTable = false
  const rows: string[][] = []
  for (const line of page.split('\n')) {
    const cells = line.startsWith('|') ? line.slice(1, -1).split(' | ') : []
    if (cells.length === 0) isTable = false
    else if (cells.at(-1)!.trim() === 'test') isTable = true
    else if (isTable && !line.startsWith('|---')) rows.push(cells.map(cell => cell.trim()))
  }
  return rows
}

test('each threat of docs/security.md that has a column for it names tests that exist', () => {
  const rows = rowsWithTests(readPage('docs/security.md'))
  expect(rows.length).toBeGreaterThan(40)
  const wrong = rows.filter(([, , tests = '']) => {
    const names = [...tests.matchAll(/`([\w/-]+)`/g)].map(([, name]) => name!)
    const isThere = (name: string): boolean => FOLDERS.some(folder => existsSync(join(ROOT, 'test', folder, `${name}.test.ts`)))
    return tests !== NONE && (names.length === 0 || !names.every(isThere))
  })
  expect(wrong).toEqual([])
})
