/**
 * Puts the program and the library together, `src/` → `dist/`. A start that looks for 700 modules, ours and those of packages, takes twice as long as one
 * that reads a few files. What a plain layer does not need stays in files of its own, which are read when they are asked for. Nothing is renamed or
 * shortened, and each module stands below its name, so that the stack of a fault can be read.
 *
 * Types are the compiler's (`dist/**.d.ts`). Tests start what this has written.
 *
 * node scripts/bundle.js [DIST]
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const src = join(root, 'src')
const dist = process.argv[2] ?? join(root, 'dist')
const manifestOf = folder => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/**
 * Packages that go inside, and are no dependencies of what is installed: every start needs them, and they are many small files or, as zod is, mostly not
 * used. All others stay packages, and what is installed of them runs.
 */
const INSIDE = JSON.parse(readFileSync(new URL('bundled-packages.json', import.meta.url), 'utf8'))
const { dependencies, optionalDependencies } = manifestOf(root)
const OUTSIDE = new Set(Object.keys({ ...dependencies, ...optionalDependencies }))
const packageOf = id => /^(?:@[^/]+\/)?[^/]+/.exec(id)[0]

/** What main.cts and a program that uses the library load. All files stand beside each other, so that each of them knows where the package is. */
const ENTRIES = {
  'run-cli': 'cli/run-cli.ts',
  'compile-cache': 'compile-cache.ts',
  'garbage-limit': 'telemetry/garbage-limit.ts',
  index: 'index.ts',
}

/** Modules of src/ believe that they are where they would be in dist/ by themselves: what lies beside the program is found from there. */
const keepAddresses = {
  name: 'keep-addresses',
  transform(code, id) {
    if (!id.startsWith(src + sep) || !code.includes('import.meta.url')) return undefined
    const address = `./${relative(src, id).replaceAll(sep, '/').replace(/\.ts$/, '.js')}`
    return { code: code.replaceAll('import.meta.url', `new URL(${JSON.stringify(address)}, import.meta.url).href`), map: null }
  },
}

/** zod knows its messages in fifty languages; ours are English, which it does not take from there. */
const NO_LOCALES = '\0no-locales'
const withoutLocales = {
  name: 'without-locales',
  resolveId: (id, importer) => (id.endsWith('/locales/index.js') && /[\\/]zod[\\/]/.test(importer ?? '') ? NO_LOCALES : undefined),
  load: id => (id === NO_LOCALES ? 'export {}' : undefined),
}

/** Modules that are read with these: what they import, and so on, but not what they load later. */
function readWith(context, names) {
  const found = new Set()
  const open = names.map(name => join(src, name))
  while (open.length > 0) {
    const id = open.pop()
    if (found.has(id)) continue
    found.add(id)
    open.push(...(context.getModuleInfo(id)?.importedIds ?? []))
  }
  return found
}

/** The files that a start of a layer reads. Everything else falls into pieces by who needs it. */
function groupsOfStart() {
  let parts
  const learn = context => ({
    first: readWith(context, ['cli/run-cli.ts', 'compile-cache.ts', 'telemetry/garbage-limit.ts']),
    command: readWith(context, ['cli/run-arguments.ts']),
    outer: readWith(context, ['cli/run/outer-layer.ts']),
    inner: readWith(context, ['cli/run/inner-layer.ts']),
  })
  const group = (name, priority, has) => ({
    debugName: name,
    priority,
    name: (id, context) => (has((parts ??= learn(context)), id) ? name : null),
  })
  return [
    group('first', 4, ({ first }, id) => first.has(id)),
    group('command', 3, ({ command }, id) => command.has(id)),
    group('layer', 2, ({ outer, inner }, id) => outer.has(id) && inner.has(id)),
    group('outer', 1, ({ outer }, id) => outer.has(id)),
    group('inner', 1, ({ inner }, id) => inner.has(id)),
  ]
}

const common = { sourcemap: true, minify: false, minifyInternalExports: false, comments: { legal: true, annotation: false, jsdoc: false } }

async function buildProgram() {
  const bundle = await rolldown({
    cwd: root,
    input: Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, join(src, file)])),
    platform: 'node',
    external: (id, importer) => {
      if (/^(?:\.|\/|\0|[A-Za-z]:|node:)/.test(id)) return id.startsWith('node:')
      if (OUTSIDE.has(packageOf(id))) return true
      if (importer?.startsWith(src) === true && !INSIDE.includes(packageOf(id)))
        throw new Error(`${importer} imports ${id}, which is no dependency`)
      return false
    },
    plugins: [keepAddresses, withoutLocales],
  })
  const { output } = await bundle.generate({
    ...common,
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    codeSplitting: { groups: groupsOfStart() },
  })
  await bundle.close()
  return output
}

/** The first file stays by itself: every release of Node.js has to be able to read it. */
async function buildMain() {
  const isLoadedLater = id => /^\.\.?\//.test(id)
  const bundle = await rolldown({ cwd: root, input: join(src, 'main.cts'), platform: 'node', external: isLoadedLater })
  const nameOf = id => Object.keys(ENTRIES).find(name => id.endsWith(ENTRIES[name]))
  const paths = id => (id.startsWith('node:') ? id : `./${nameOf(id)}.js`)
  const { output } = await bundle.generate({ ...common, dir: dist, format: 'cjs', entryFileNames: 'main.cjs', strict: true, paths })
  await bundle.close()
  return output
}

/** The licences of the packages of which something is inside. */
function licencesOf(modules) {
  const folders = new Set(modules.map(id => /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+(?=[\\/])/.exec(id)?.[0]).filter(Boolean))
  const texts = [...folders].sort().map(folder => {
    const { name, version, license } = manifestOf(folder)
    const file = readdirSync(folder).find(each => /^licen[cs]e/i.test(each))
    if (file === undefined) throw new Error(`${name} goes inside of the program, and has no licence with it`)
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
  })
  return ['This program has parts of these packages inside.\n', ...texts].join(`\n${'-'.repeat(80)}\n\n`)
}

/**
 * Writes characters beyond ASCII as escapes, which mean the same wherever a module has them, but in `String.raw`. V8 holds the text of a module as long as
 * it runs, in two bytes for each character when a single one of them does not fit into one: a megabyte and a half for 25 arrows and dots.
 */
function ascii(code) {
  if (/String\.raw`[^`]*[^\0-\x7f`]/.test(code)) throw new Error('what stands in String.raw cannot be escaped')
  return code.replace(/[^\0-\x7f]/g, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const program = await buildProgram()
const files = new Map()
for (const file of [...program, ...(await buildMain())]) files.set(file.fileName, file.type === 'chunk' ? ascii(file.code) : file.source)
for (const [name, text] of files) {
  if (!name.endsWith('.map')) continue
  const map = JSON.parse(text)
  delete map.sourcesContent
  files.set(name, JSON.stringify(map))
}
files.set('LICENSES.txt', licencesOf(program.flatMap(({ moduleIds = [] }) => moduleIds)))

mkdirSync(dist, { recursive: true })
// What others import comes before them, so that a process that starts meanwhile finds all of the old or all of the new ones.
const isEntry = name => name === 'main.cjs' || Object.hasOwn(ENTRIES, name.replace(/\.js$/, ''))
for (const [name, text] of [...files].sort(([a], [b]) => Number(isEntry(a)) - Number(isEntry(b)))) {
  const path = join(dist, name)
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text)
}
for (const name of readdirSync(dist)) if (/\.c?js(\.map)?$/.test(name) && !files.has(name)) rmSync(join(dist, name))
