/**
 * Removes from dist/ whatever no file of src/ stands for any more. It runs after the compiler, so that dist/ is never empty while a
 * process or a test uses it.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name === '.tsbuildinfo') continue
  const output = join(entry.parentPath, entry.name)
  const source = join(root, 'src', output.slice(dist.length + 1)).replace(/(\.d\.ts|\.js)$/, '.ts')
  if (!existsSync(source)) rmSync(output)
}
