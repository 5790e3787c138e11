/** Removes from dist/ what no module of src/ stands for any more: the compiler and scripts/bundle.js write, and leave what was there before. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const src = join(root, 'src')
const dist = join(root, 'dist')

/** Types stand for a module; what stands directly in dist/ besides is scripts/bundle.js's own, and the console is built elsewhere. */
const isMeant = file => {
  if (file.startsWith(join('console-app', sep))) return true
  const module = /^(.*)\.d\.(c?ts)$/.exec(file)
  return module === null ? !file.includes(sep) : existsSync(join(src, `${module[1]}.${module[2]}`))
}

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (entry.isFile() && !isMeant(relative(dist, path))) rmSync(path)
}
