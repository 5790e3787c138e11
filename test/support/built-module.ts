/** Modules of src/ for processes that tests start: a process of its own reads no TypeScript. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { ROOT } from './process.ts'

/** What lies beside the program is found from where the module is. */
const keepAddresses: Plugin = {
  name: 'keep-addresses',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const address = JSON.stringify(pathToFileURL(path).href)
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', address), loader: 'ts' }
    }),
}

/** Puts a module together with those that it imports, as they are now. @returns the URL of the file; packages stay packages */
export async function builtModule(path: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'src', path)],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    plugins: [keepAddresses],
  })
  const { contents } = outputFiles[0]!
  const folder = join(ROOT, 'node_modules/.cache/built-modules')
  const file = join(folder, `${createHash('sha256').update(contents).digest('hex').slice(0, 16)}.mjs`)
  mkdirSync(folder, { recursive: true })
  if (!existsSync(file)) {
    writeFileSync(`${file}.${process.pid}`, contents)
    renameSync(`${file}.${process.pid}`, file)
  }
  return pathToFileURL(file).href
}
