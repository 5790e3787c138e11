import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'

interface LockedPackage {
  readonly version?: string
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const manifest = JSON.parse(read('package.json')) as {
  readonly dependencies: Record<string, string>
  readonly optionalDependencies: Record<string, string>
  readonly allowScripts: Record<string, boolean>
  readonly repository: { readonly url: string }
  readonly homepage: string
  readonly bugs: string
}
const { packages } = JSON.parse(read('package-lock.json')) as {
  readonly packages: Readonly<Record<string, LockedPackage & { hasInstallScript?: true }>>
}

describe('package-lock.json', () => {
  test('names no registry: no package has a "resolved" address', () => {
    expect(Object.keys(packages).filter(name => packages[name]!.resolved !== undefined)).toEqual([])
  })

  test('names every platform package, or npm ci refuses it (run `npm run lock`)', () => {
    const named = Object.values(packages).flatMap(entry => Object.keys(entry.optionalDependencies ?? {}))
    const absent = named.filter(name => !Object.keys(packages).some(path => path.endsWith(`node_modules/${name}`)))
    expect(absent).toEqual([])
  })

  test('holds no package with an install script on which package.json has not decided', () => {
    const scripted = Object.keys(packages)
      .filter(path => packages[path]!.hasInstallScript)
      .map(path => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
    // fsevents is for macOS, and its script does nothing but build what npm has in the package already.
    expect(scripted.filter(name => !(name in manifest.allowScripts) && name !== 'fsevents')).toEqual([])
  })
})

describe('the packages', () => {
  const names = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
  let outcomes: Readonly<Record<string, string>>
  beforeAll(async () => {
    // In a process of its own: Jest has module loaders of its own.
    const program = `
const outcomes = {}
for (const name of ${JSON.stringify(names)}) outcomes[name] = await import(name).then(() => 'loaded', String)
console.log(JSON.stringify(outcomes))`
    const loading = startProcess(['--input-type=module', '--eval', program], { program: process.execPath })
    expect(await loading.exit).toEqual({ code: 0, signal: null })
    expect(loading.stderr).toBe('')
    outcomes = JSON.parse(loading.stdout) as typeof outcomes
  })

  test.each(names)('%s loads in this version of Node', name => {
    expect(outcomes[name]).toBe('loaded')
  })
})

describe('the package that is published', () => {
  test('says where its sources and its issues are', () => {
    const { repository, homepage, bugs } = manifest
    for (const url of [repository.url, homepage, bugs]) expect(url).toMatch(/^(?:git\+)?https:\/\/github\.com\/[\w-]+\/socket-gateway/)
  })

  test('leaves out what nobody imports', async () => {
    const dist = join(tempDir(), 'dist')
    cpSync(join(ROOT, 'dist'), dist, { recursive: true })
    const pruning = startProcess([join(ROOT, 'scripts/prune.js'), dist], { program: process.execPath })
    expect(await pruning.exit).toEqual({ code: 0, signal: null })
    const left = readdirSync(dist, { recursive: true }).map(String)
    expect(left).toEqual(
      expect.arrayContaining(['main.cjs', 'index.js', 'run-cli.js', 'LICENSES.txt', 'index.d.ts', 'outer/outer-layer.d.ts']),
    )
    for (const name of ['errors.js', 'cli/commands.js', 'cli/commands.d.ts', 'main.d.ts', '.tsbuildinfo']) expect(left).not.toContain(name)
    // Whoever compiles against the library has the packages that are installed with it, and no others.
    const types = left.filter(name => name.endsWith('.d.ts')).map(name => readFileSync(join(dist, name), 'utf8'))
    const needed = types.flatMap(text => [...text.matchAll(/\bfrom ['"]((?:@[^/'"]+\/)?[^./'"][^/'"]*)/g)].map(([, name]) => name!))
    const known = Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })
    expect(needed.filter(name => !name.startsWith('node:') && !known.includes(name))).toEqual([])
  })

  test('names each package of which it has parts inside, with its licence', () => {
    const inside = JSON.parse(read('scripts/bundled-packages.json')) as string[]
    const licences = read('dist/LICENSES.txt')
    for (const name of inside) {
      expect(licences).toContain(`${name} ${packages[`node_modules/${name}`]!.version!} (`)
      expect(manifest.dependencies).not.toHaveProperty([name])
    }
    expect(licences.match(/Permission (?:is hereby granted|to use, copy)/g)!.length).toBeGreaterThanOrEqual(inside.length)
  })
})

describe('the sources', () => {
  const FOLDERS = ['.ci', 'bench', 'docs', 'scenario', 'scripts', 'src', 'test']
  const TEXT = /(\.(ts|js|cjs|json|md|yaml|yml|sh|dot)|\/run|Dockerfile)$/

  test('name no package registry: which one is used is up to the machine', () => {
    const files = FOLDERS.filter(folder => existsSync(join(ROOT, folder))).flatMap(folder =>
      readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => join(entry.parentPath, entry.name)),
    )
    const all = [
      ...files.filter(file => TEXT.test(file)),
      ...['package.json', 'package-lock.json', 'Dockerfile', '.npmrc'].map(file => join(ROOT, file)),
    ]
    const registry = new RegExp(['registry', '(npmjs|yarnpkg|npmmirror)', '(org|com)'].join('\\.'))
    expect(all.length).toBeGreaterThan(50)
    expect(all.filter(file => registry.test(readFileSync(file, 'utf8')))).toEqual([])
  })
})
