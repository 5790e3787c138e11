/**
 * Brings dist/ in step with src/ after the compiler, so that it is never empty while a process or a test uses it: copies what is served as it
 * stands, and removes whatever no file of src/ stands for any more.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const src = join(root, 'src')
const dist = join(root, 'dist')
/** Built by build-console.js, from elsewhere. */
const CONSOLE = join('console-app', '/')
const filesOf = folder =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))

for (const file of filesOf(src)) {
  if (/\.c?ts$/.test(file)) continue
  mkdirSync(dirname(join(dist, file)), { recursive: true })
  copyFileSync(join(src, file), join(dist, file))
}

for (const file of filesOf(dist)) {
  if (file === '.tsbuildinfo' || file.startsWith(CONSOLE) || existsSync(join(src, file))) continue
  if (!existsSync(join(src, file.replace(/\.d\.(c?ts)$/, '.$1').replace(/\.(c?)js$/, '.$1ts')))) rmSync(join(dist, file))
}
