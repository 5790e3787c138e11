import { expect, test } from '@jest/globals'
import { readdirSync, readFileSync } from 'node:fs'

const root = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/http.md', root), 'utf8')
const numbered = (letter: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${letter}${i + 1}`)
const rows = [...page.matchAll(/^\| ([A-Z]?[\d.]+) \|(.*)\| ([^|]*) \|$/gm)].map(([, id = '', , where = '']) => ({ id, where }))

test('docs/http.md has a row for every numbered item', () => {
  const wanted = [
    '1.0',
    ...numbered('H', 20),
    ...numbered('T', 13),
    ...numbered('F', 18),
    ...numbered('U', 12),
    ...numbered('K', 5),
    ...numbered('P', 10),
  ].filter(id => id !== 'P5')
  expect([...new Set(rows.map(({ id }) => id))]).toEqual(wanted)
})

test('the tests that docs/http.md names exist, and carry the number of their item', () => {
  const files = new Map(
    readdirSync(new URL('test/gateway/', root)).map(name => [name, readFileSync(new URL(`test/gateway/${name}`, root), 'utf8')]),
  )
  for (const { id, where } of rows) {
    for (const name of where.match(/[\w-]+\.test\.ts/g) ?? []) {
      expect([...files.keys()]).toContain(name)
      if (!where.startsWith('see '))
        expect(`${name}: ${new RegExp(`['"\`]${id.replace('.', '\\.')}: `).test(files.get(name)!)} for ${id}`).toBe(
          `${name}: true for ${id}`,
        )
    }
  }
})
