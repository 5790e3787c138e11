import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { rolldown } from 'rolldown'
import { ROOT, type Fleet } from './fleet.ts'

/** Rooms that scripts of this folder put together by themselves, and the file that each becomes. */
const ENTRIES = {
  gateway: 'index.ts',
  door: 'ssh/door.ts',
  log: 'telemetry/log.ts',
  'private-key': 'identity/private-key.ts',
}

/**
 * Builds modules of `src/` that the program has inside; returns the folder. What tsx makes of sources keeps a name for each closure, which costs CPU
 * with each request and a quarter of the memory of a tunnel: what is measured has to be what runs.
 */
export const builtModules = async (fleet: Fleet): Promise<string> => {
  const folder = join(fleet.directory, 'modules')
  if (existsSync(folder)) return folder
  fleet.program() // package.json and the packages lie beside it
  const input = Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, join(ROOT, 'src', file)]))
  const bundle = await rolldown({ input, platform: 'node', external: id => !id.startsWith('.') && !isAbsolute(id) })
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' })
  await bundle.close()
  return folder
}
