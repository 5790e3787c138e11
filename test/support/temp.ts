import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onCleanUp } from './cleanup.ts'

/** A new empty directory, removed with all it holds after the test file. */
export const tempDir = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'socket-gateway-test-'))
  onCleanUp(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A file of this name and content in a directory of its own; returns its path. */
export const tempFile = (name: string, content: string | Buffer): string => {
  const path = join(tempDir(), name)
  writeFileSync(path, content)
  return path
}
