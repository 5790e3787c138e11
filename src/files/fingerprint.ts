import { stat } from 'node:fs/promises'
import { messageOf } from '../errors.ts'

/** Returns a text that differs when `file` was written, replaced, or given another mode, without reading it. */
export async function fingerprintOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs, mode } = await stat(file, { bigint: true })
    return [file, ino, size, mtimeNs, ctimeNs, mode].join(' ')
  } catch (cause) {
    return `${file} ${messageOf(cause)}`
  }
}
