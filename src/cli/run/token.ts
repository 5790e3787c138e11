import { open } from 'node:fs/promises'
import { GatewayError, messageOf } from '../../errors.ts'
import { hashToken, mintToken } from '../../identity/token.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { tokenOptions } from '../options/forward.ts'

const OWNER_ONLY = 0o600

/**
 * Makes a token and prints what the side that accepts it stores.
 * @throws GatewayError FILE_EXISTS, FILE_UNREADABLE
 */
export async function runToken({ file }: ValuesOf<typeof tokenOptions>, { stdout }: CliContext): Promise<ExitStatus> {
  const token = mintToken()
  if (file !== undefined) {
    try {
      const handle = await open(file, 'wx', OWNER_ONLY)
      await handle.writeFile(`${token}\n`).finally(() => handle.close())
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST')
        throw new GatewayError('FILE_EXISTS', `--file ${file}: exists and is not overwritten; choose another path, or remove it first`, {
          cause,
        })
      throw new GatewayError('FILE_UNREADABLE', `--file ${file}: ${messageOf(cause)}; expected a path where a file can be created`, {
        cause,
      })
    }
  }
  stdout.write(
    [
      file === undefined ? `token: ${token}` : `wrote ${file}: the token, readable by you only`,
      `hash: ${hashToken(token)}`,
      'next: the token goes to whoever opens tunnels (--token-file), the hash to "tokens" in the targets file or to the -token-file of sokken server',
      '',
    ].join('\n'),
  )
  return 0
}
