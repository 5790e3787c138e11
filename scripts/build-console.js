/**
 * Builds the console, `console/` → `dist/console-app/`, unless nothing of it has changed. Needs no network; what is built needs no vite.
 *
 * node scripts/build-console.js [--serve URL]   with --serve: a server for working on it, which asks the gateway at URL
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const sources = join(root, 'console')
const outDir = join(root, 'dist/console-app')
const stamp = join(outDir, '.built')

const config = {
  configFile: false,
  root: sources,
  base: './',
  logLevel: 'warn',
  cacheDir: join(root, 'node_modules/.cache/vite'),
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir,
    emptyOutDir: true,
    target: ['chrome123', 'firefox121', 'safari17.5'],
    // Everything comes as a file of its own: the policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
}

/** A digest of everything that the built files depend on. */
function fingerprint() {
  const hash = createHash('sha256')
  const files = readdirSync(sources, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
  const packages = ['vite', 'preact', 'uplot'].map(name => join(root, 'node_modules', name, 'package.json'))
  for (const file of [...files, ...packages, fileURLToPath(import.meta.url)])
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0')
  return hash.digest('hex')
}

const serve = process.argv.indexOf('--serve')
if (serve > 0) {
  const target = process.argv[serve + 1]
  const { createServer } = await import('vite')
  const facts = await (await fetch(new URL('/', target))).text()
  const content = /name="socket-gateway" content="([^"]*)"/.exec(facts)?.[1] ?? ''
  const server = await createServer({
    ...config,
    logLevel: 'info',
    plugins: [{ name: 'facts', transformIndexHtml: html => html.replace('content="FACTS"', `content="${content}"`) }],
    server: { host: '127.0.0.1', proxy: { '^/(api|status|metrics|healthz|readyz)': { target, changeOrigin: true } } },
  })
  await server.listen()
  server.printUrls()
} else {
  const wanted = fingerprint()
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    const { build } = await import('vite')
    await build(config)
    writeFileSync(stamp, wanted)
  }
}
