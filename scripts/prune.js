/**
 * Removes what is not published from dist/ before it is packed: types to which those of the library (`index.d.ts`) do not lead, and what the compiler
 * remembers, or it would not write again what is missing now. Reads the imports as the compiler writes them.
 *
 * node scripts/prune.js [DIST]
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = process.argv[2] ?? join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)\.(?:js|ts)['"]/g

const kept = new Set()
const open = [join(dist, 'index.d.ts')]
while (open.length > 0) {
  const file = open.pop()
  if (kept.has(file) || !existsSync(file)) continue
  kept.add(file)
  for (const [, path] of readFileSync(file, 'utf8').matchAll(IMPORT)) open.push(join(dirname(file), `${path}.d.ts`))
}

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath, entry.name)
  const isUnneeded = /\.d\.c?ts$/.test(entry.name) ? !kept.has(file) : entry.name === '.tsbuildinfo'
  if (entry.isFile() && isUnneeded) rmSync(file)
}
