import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/**
 * A package that is loaded when it is first used, and then kept by Node.js: what a process does not use costs it neither time at the start nor
 * memory. Its types are imported as types. For packages that are CommonJS; others are loaded by `import()`.
 * @param of  the package that depends on it, where we do not ourselves
 */
export const lazily =
  <T>(name: string, of?: string) =>
  (): T =>
    (of === undefined ? require : createRequire(require.resolve(of)))(name) as T
