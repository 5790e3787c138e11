/**
 * Removes from the compiled program what nobody imports, before it is packed: neither the program (main.cjs), nor a program that imports the
 * package (index.js and its types). Reads the imports as the compiler writes them.
 *
 * node scripts/prune.js [DIST]
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = process.argv[2] ?? join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g

/** Files that `starts` lead to. @param extension  of the files that an import means here, whatever it says */
function reached(starts, extension) {
  const found = new Set()
  const open = starts.map(name => join(dist, name))
  while (open.length > 0) {
    const file = open.pop()
    if (found.has(file) || !existsSync(file)) continue
    found.add(file)
    for (const [, path] of readFileSync(file, 'utf8').matchAll(IMPORT))
      open.push(join(dirname(file), path.replace(/\.(?:js|ts)$/, '') + extension))
  }
  return found
}

const kept = new Set([...reached(['main.cjs', 'index.js'], '.js'), ...reached(['index.d.ts'], '.d.ts')])
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const file = join(entry.parentPath, entry.name)
  // Served as it stands.
  if (file.startsWith(join(dist, 'console-app', '/'))) continue
  // What the compiler remembers goes as well, or it would not write again what is missing now.
  if (entry.isFile() && !kept.has(file)) rmSync(file)
}
