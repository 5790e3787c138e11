import { access, constants, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fail, ok, type Finding } from './finding.ts'
import { codeOf } from './network.ts'

const CHECK = 'log file'

/** Could `--log-file` be written? Nothing is written to find out. */
export async function checkLogFile(file: string): Promise<Finding> {
  try {
    const stats = await stat(file).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    })
    if (stats?.isDirectory() === true) return fail(CHECK, `${file} is a directory`, 'name a file with --log-file')
    if (stats !== undefined) await access(file, constants.W_OK)
    // A new file is made there now, and after each rotation.
    await access(dirname(file), constants.W_OK | constants.X_OK)
    return ok(CHECK, `${file} can be written`)
  } catch (error) {
    const code = codeOf(error)
    const remedy =
      code === 'ENOENT' ? `make the directory ${dirname(file)}` : 'let the account of the layer write the file and its directory'
    return fail(CHECK, `${file}: ${code}`, `${remedy}, or name another file with --log-file`)
  }
}
