import { statSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { join } from 'node:path'

/** Members that Node.js has from 22.1 on, and its types of 20 do not. */
interface CompileCache {
  readonly enableCompileCache?: (directory: string) => unknown
}

const OTHERS_MAY_WRITE = 0o022

/**
 * Lets Node.js keep what it has compiled in the home directory of the account, for the next start; nothing happens where that cannot be, or where
 * Node.js does not know how. What is kept is run without a look at what it was made from: so the directory has to be this account's alone, and neither a
 * shared one for temporary files nor the home of somebody who has become another account (`sudo`).
 * @param uid  of this process; undefined where there is no such thing, and then nothing is kept
 */
export function keepCompiled(home: string | undefined, uid: number | undefined): void {
  const { enableCompileCache } = nodeModule as CompileCache
  if (enableCompileCache === undefined || home === undefined || home === '' || uid === undefined) return
  try {
    const facts = statSync(home)
    if (facts.uid === uid && (facts.mode & OTHERS_MAY_WRITE) === 0) enableCompileCache(join(home, '.cache', 'socket-gateway'))
  } catch {
    // There is no such directory, and a start without it is a little slower.
  }
}
