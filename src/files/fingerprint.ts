import { stat } from 'node:fs/promises'
import { messageOf } from '../errors.ts'

/** What tells of a change of `file` without reading it: a text that differs when the file was written, replaced, or given another mode. */
export async function fingerprintOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs, mode } = await stat(file, { bigint: true })
    return [file, ino, size, mtimeNs, ctimeNs, mode].join(' ')
  } catch (cause) {
    return `${file} ${messageOf(cause)}`
  }
}
