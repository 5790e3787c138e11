/** Hooks of Node.js's module loader for test files: swc compiles TypeScript, the disk keeps it. Before Node.js 22.15 they run in a thread of their own. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { threadId } from 'node:worker_threads'
import { transformSync, version } from '@swc/core'

const GLOBALS = new URL('./globals.js', import.meta.url).href

let cache

/** `directory` is where compiled files are kept. */
export const initialize = ({ directory }) => {
  cache = directory
}

/** The path of a file of TypeScript, undefined for everything else. */
const pathOf = url => {
  const end = url.indexOf('?')
  const file = end === -1 ? url : url.slice(0, end)
  return file.startsWith('file:') && file.endsWith('.ts') && !file.includes('/node_modules/') ? fileURLToPath(file) : undefined
}

/** Where a file of this text is kept, without its ending. */
const keptAt = (path, text) => {
  const key = createHash('sha256').update(`${version}\0${path}\0${text}`).digest('hex')
  return join(cache, key.slice(0, 2), key)
}

/** Whole or not at all: two workers compile the same file at once. */
const write = (file, text) => {
  const part = `${file}.${process.pid}.${threadId}`
  writeFileSync(part, text)
  renameSync(part, file)
}

const compiled = path => {
  const text = readFileSync(path, 'utf8')
  const kept = keptAt(path, text)
  try {
    return readFileSync(`${kept}.mjs`, 'utf8')
  } catch {
    const jsc = { parser: { syntax: 'typescript' }, target: 'es2022' }
    const { code, map } = transformSync(text, { filename: path, sourceMaps: true, swcrc: false, jsc })
    mkdirSync(dirname(kept), { recursive: true })
    write(`${kept}.map`, map)
    write(`${kept}.mjs`, code)
    return code
  }
}

/** The file of the source map of a compiled module; undefined when there is none. */
export const sourceMapOf = url => {
  const path = pathOf(url)
  return path === undefined ? undefined : `${keptAt(path, readFileSync(path, 'utf8'))}.map`
}

export const resolve = (specifier, context, next) =>
  specifier === '@jest/globals' ? { url: GLOBALS, format: 'module', shortCircuit: true } : next(specifier, context)

export const load = (url, context, next) => {
  const path = pathOf(url)
  return path === undefined ? next(url, context) : { format: 'module', shortCircuit: true, source: compiled(path) }
}
