import { open } from 'node:fs/promises'
import type { AdminOptions } from '../../admin/admin.ts'
import { GatewayError } from '../../errors.ts'
import { unreadableFile } from '../command/option-file.ts'
import { FILE, optional, PORT, TEXT, withDefault, type Reader, type ValuesOf } from '../command/option.ts'

/** Stands for no admin port at all. */
const NONE = 'none'

const PORT_OR_NONE: Reader<number | typeof NONE> = {
  expected: `${PORT.expected}, or ${NONE}`,
  read: text => (text === NONE ? NONE : PORT.read(text)),
}

/** The options of the operator's view; both layers have them. */
export const adminOptions = (port: number | typeof NONE) =>
  ({
    'admin-port': withDefault(PORT_OR_NONE, port, {
      describe: `Port for operators: status, metrics, health; 0 picks a free one, ${NONE} opens none`,
    }),
    'admin-host': withDefault(TEXT, '127.0.0.1', {
      describe: 'Address to listen on for operators; one that others can reach needs a password',
    }),
    'admin-password-file': optional(FILE, { describe: 'File with the password that operators have to give; its first line counts' }),
    'admin-password': optional(TEXT, {
      describe: 'The same as text: for the environment and the file of --config, since others on this machine can read the command line',
    }),
  }) as const

type AdminValues = ValuesOf<ReturnType<typeof adminOptions>>

/**
 * Reads the options of the admin port; undefined: there is none.
 * @throws GatewayError USAGE for two passwords, FILE_UNREADABLE or KEY_INVALID for a file that cannot be used
 */
export async function readAdminOptions(values: AdminValues): Promise<AdminOptions | undefined> {
  const port = values['admin-port']
  if (port === NONE) return undefined
  const password = await readPassword(values['admin-password-file'], values['admin-password'])
  return { port, host: values['admin-host'], ...(password !== undefined && { password }) }
}

async function readPassword(file: string | undefined, text: string | undefined): Promise<string | undefined> {
  if (file === undefined) return text
  if (text !== undefined) throw new GatewayError('USAGE', '--admin-password and --admin-password-file: give one of them')
  return readPasswordFile(file, '--admin-password-file')
}

/**
 * The first line of a file that only its owner and group may read.
 * @param option  which one names the file
 * @throws GatewayError FILE_UNREADABLE or KEY_INVALID
 */
export async function readPasswordFile(file: string, option: string): Promise<string> {
  const expected = 'the password in its first line'
  const unreadable = (cause: unknown): never => {
    throw unreadableFile(file, { option, expected, remedy: 'write one that other accounts cannot read (umask 027)' }, cause)
  }
  const handle = await open(file).catch(unreadable)
  try {
    const { mode } = await handle.stat()
    const [line = ''] = (await handle.readFile('utf8').catch(unreadable)).split(/\r?\n/)
    if ((mode & 0o007) !== 0) throw new GatewayError('KEY_INVALID', `${file}: every account can use this password; run: chmod o= '${file}'`)
    if (line === '') throw new GatewayError('KEY_INVALID', `${file}: the first line is empty; expected the password in it`)
    return line
  } finally {
    await handle.close()
  }
}
