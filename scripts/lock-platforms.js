/**
 * Completes package-lock.json so that `npm ci` accepts it on every npm.
 *
 * npm 11.16 and later leave a platform package out of the lock when the registry could not deliver its manifest, and then
 * refuse that very lock ("EUSAGE Missing: …", npm/cli#9846). Here every optional package that is named but absent gets a stub:
 * version, os and cpu, so that no machine of another platform ever asks for it. `npm install` keeps stubs that it finds.
 *
 * Registry addresses are removed as well: a lock file is no place to choose a registry.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const LOCK = new URL('../package-lock.json', import.meta.url)
const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const PROCESSORS = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64']

/** The platform that a package such as `@scope/name-linux-x64-musl` is for, read from its name. */
const platformOf = name => {
  const words = name.split(/[-/]/)
  const os = SYSTEMS.filter(system => words.includes(system))
  const cpu = PROCESSORS.filter(processor => words.includes(processor))
  if (words.includes('musl')) return { cpu, os, libc: ['musl'] }
  if (words.includes('gnu')) return { cpu, os, libc: ['glibc'] }
  // wasm packages name no system; they never match a machine whose processor is not wasm32.
  return os.length > 0 ? { cpu, os } : { cpu }
}

/** Does the resolution of `name` from the package at `from` (a key of `packages`) find an entry of the lock? */
const isPresent = (packages, from, name) => {
  for (let folder = from; ;) {
    const key = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    if (key in packages) return true
    if (folder === '') return false
    const end = folder.lastIndexOf('/node_modules/')
    folder = end === -1 ? '' : folder.slice(0, end)
  }
}

const lock = JSON.parse(readFileSync(LOCK, 'utf8'))
const stubs = {}
for (const [key, entry] of Object.entries(lock.packages)) {
  delete entry.resolved
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (isPresent(lock.packages, key, name)) continue
    const platform = platformOf(name)
    if (platform.cpu.length === 0) throw new Error(`no platform can be read from the name ${name}; add its words to this script`)
    stubs[`node_modules/${name}`] = { version, ...platform, ...(entry.dev ? { dev: true } : {}), optional: true }
  }
}

const [root, ...rest] = Object.entries({ ...lock.packages, ...stubs })
lock.packages = Object.fromEntries([root, ...rest.sort(([a], [b]) => a.localeCompare(b, 'en'))])
writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`)
process.stdout.write(`package-lock.json: ${Object.keys(stubs).length} platform packages added\n`)
