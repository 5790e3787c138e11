import { readFile } from 'node:fs/promises'
import { GatewayError, messageOf } from '../../errors.ts'
import type { ServiceConfig } from '../../service/config.ts'

/** Options by which the store of a service is opened. */
export interface StorePlaceOptions {
  readonly url: string
  /** Of relative files in the URL. */
  readonly directory: string
  readonly password?: string
}

/**
 * Where the store is, with the password of SG_STORE_PASSWORD or of the file that the configuration names.
 * @throws GatewayError FILE_UNREADABLE
 */
export async function storeOptionsOf(
  { store, stateDirectory: directory }: Pick<ServiceConfig, 'store' | 'stateDirectory'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<StorePlaceOptions> {
  if (store.kind === 'sqlite') return { url: `sqlite:${store.file}`, directory }
  const { url, passwordFile } = store
  const given = env['SG_STORE_PASSWORD'] || (passwordFile === undefined ? undefined : await readPassword(passwordFile))
  return { url, directory, ...(given !== undefined && { password: given }) }
}

async function readPassword(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).split('\n')[0]?.trim() ?? ''
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `storePasswordFile ${file}: ${messageOf(cause)}; expected the password in its first line`, {
      cause,
    })
  }
}
