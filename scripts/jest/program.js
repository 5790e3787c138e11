/**
 * Before the first test file: puts what is built in `dist/` together to a few files. Half of what a start of the program costs is looking for its
 * modules, 440 of them, and tests start it hundreds of times. The first file stays as it is, each module believes that it is where it was, and what
 * is loaded late still is.
 * What nobody has built is not put together; tests of processes say so.
 */
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, version } from 'esbuild'

/** Where tests find the program (test/support/process.ts). */
const VARIABLE = 'SOCKET_GATEWAY_PROGRAM'
/** Programs of older builds are kept as long as a run of tests may last that uses them. */
const KEPT_MS = 3_600_000
/** Loaded where they are needed, when they are there. */
const OPTIONAL = ['@node-rs/argon2', '@node-saml/node-saml', 'bufferutil', 'libsql', 'pg', 'pg-native', 'ssh2', 'utf-8-validate']

/** A digest of the built files, by their sizes and times. */
function fingerprint(dist, lock) {
  const hash = createHash('sha256')
    .update(version)
    .update(readFileSync(lock))
    .update(readFileSync(new URL(import.meta.url)))
  for (const name of readdirSync(dist, { recursive: true })
    .filter(each => /\.c?js$/.test(each))
    .sort()) {
    const { size, mtimeMs } = statSync(join(dist, name))
    hash.update(`${name}\0${size}\0${mtimeMs}\0`)
  }
  return hash.digest('hex').slice(0, 16)
}

/** Modules of `dist` keep their addresses: what lies beside them is found from there. */
const keepAddresses = dist => ({
  name: 'keep-addresses',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.js$/, namespace: 'file' }, ({ path }) => {
      if (!path.startsWith(dist)) return undefined
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'js' }
    }),
})

export default async function putTogether({ rootDir }) {
  const dist = join(rootDir, 'dist')
  const main = join(dist, 'main.cjs')
  if (!existsSync(main)) return
  const cache = join(rootDir, 'node_modules/.cache/socket-gateway-program')
  const directory = join(cache, fingerprint(dist, join(rootDir, 'package-lock.json')))
  process.env[VARIABLE] = join(directory, 'main.cjs')
  if (existsSync(directory)) return
  mkdirSync(cache, { recursive: true })
  const part = `${directory}.${process.pid}`
  const entries = [...readFileSync(main, 'utf8').matchAll(/import\("\.\/([^"]+)"\)/g)].map(([, name]) => join(dist, name))
  await build({
    entryPoints: [...new Set(entries)],
    outdir: part,
    outbase: dist,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: OPTIONAL,
    banner: { js: `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(${JSON.stringify(main)});` },
    plugins: [keepAddresses(dist)],
    logLevel: 'error',
  })
  copyFileSync(main, join(part, 'main.cjs'))
  writeFileSync(join(part, 'package.json'), '{ "type": "module" }')
  try {
    renameSync(part, directory)
  } catch (error) {
    // Another run was faster.
    if (!existsSync(directory)) throw error
    rmSync(part, { recursive: true })
  }
  for (const name of readdirSync(cache)) {
    const file = join(cache, name)
    if (file !== directory && Date.now() - statSync(file).mtimeMs > KEPT_MS) rmSync(file, { recursive: true, force: true })
  }
}
