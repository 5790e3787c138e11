import { platform } from 'node:os'
import { join } from 'node:path'
import { GatewayError } from '../../errors.ts'
import { readKeyText } from '../../identity/key.ts'
import { readOptionFile, type OptionFile } from '../command/option-file.ts'

const DEFAULT_STATE = 'outer-layer-state'
const OTHERS = 0o077
const KEY_FILE: OptionFile = {
  option: '--acme-eab-key',
  expected: 'the key that the authority has given you',
  remedy: 'get one from the authority',
}

/** The folder of the options, whether it is there or not. */
export const acmeFolderOf = (values: { readonly 'acme-path'?: string | undefined; readonly state?: string | undefined }): string =>
  values['acme-path'] ?? join(values.state ?? DEFAULT_STATE, 'acme')

/** The text of a file with a secret. @throws GatewayError KEY_INVALID where other accounts may read it, FILE_UNREADABLE */
export const readSecret = (file: string, facts: OptionFile): Promise<string> =>
  readOptionFile(file, facts, () =>
    readKeyText(file, (_text, { mode }) => {
      if ((mode & OTHERS) === 0 || platform() === 'win32') return
      throw new GatewayError('KEY_INVALID', `${facts.option} ${file}: other accounts can use this key; run: chmod 600 '${file}'`)
    }),
  )

/** Reads the key of an account that exists already, base64url. @throws GatewayError KEY_INVALID, FILE_UNREADABLE */
export async function readBindingKey(file: string): Promise<string> {
  const key = (await readSecret(file, KEY_FILE)).trim()
  // Its text is not shown: it is a secret, or something else that is none of the reader's business.
  if (!/^[\w+/-]{16,}={0,2}$/.test(key)) throw new GatewayError('KEY_INVALID', `--acme-eab-key ${file}: expected one key in base64url`)
  return key
}
