import { createSecretsKey, readSecretsKey, writeSecretsKey } from '../../config/service/secrets-key.ts'
import { readServiceConfig } from '../../config/service/service-file.ts'
import { storeOptionsOf } from '../../config/service/store-options.ts'
import { resealSecrets, rotateSecrets } from '../../service/core/secrets.ts'
import { backUpStore, openStore, type Store } from '../../store/store.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { serviceRotateOptions, serviceStoreOptions } from '../options/service.ts'

type Values = ValuesOf<typeof serviceStoreOptions>

const write = ({ json }: { readonly json: boolean }, { stdout }: CliContext, facts: object, text: string): 0 => {
  stdout.write(json ? `${JSON.stringify(facts)}\n` : text)
  return 0
}

/** `service backup`: a whole copy of the database, also while the service runs. @throws GatewayError FILE_EXISTS, USAGE for PostgreSQL */
export async function runServiceBackup(file: string, values: Values, context: CliContext): Promise<ExitStatus> {
  const config = await readServiceConfig(values.service)
  await backUpStore(await storeOptionsOf(config, context.env), file)
  return write(
    values,
    context,
    { file, secrets: config.secretsFile },
    `wrote ${file}: the database, readable by you only\nnext: keep ${config.secretsFile} too, in another place: without it the secrets in the copy are lost\n`,
  )
}

/** `service migrate`: brings the database to this release, with a copy of it before. @throws GatewayError STORE_INVALID, STORE_UNAVAILABLE */
export async function runServiceMigrate(values: Values, context: CliContext): Promise<ExitStatus> {
  const config = await readServiceConfig(values.service)
  let result: { readonly from: number; readonly to: number; readonly copy: string | undefined } | undefined
  const store = await openStore({ ...(await storeOptionsOf(config, context.env)), onMigrated: step => (result = step) })
  await store.close()
  const text =
    result === undefined
      ? 'the database is up to date already\n'
      : `migrated the database from version ${result.from} to ${result.to}${result.copy === undefined ? '' : `; what was before is in ${result.copy}`}\n`
  return write(values, context, result ?? { from: null, to: null, copy: null }, text)
}

/**
 * `service rotate`: new keys for tokens and certificates, and for the SSH door where that is wanted. The service must not run, or its database be
 * PostgreSQL.
 * @throws GatewayError STORE_INVALID, STORE_UNAVAILABLE, FILE_UNREADABLE
 */
export async function runServiceRotate(values: ValuesOf<typeof serviceRotateOptions>, context: CliContext): Promise<ExitStatus> {
  const config = await readServiceConfig(values.service)
  const key = await readSecretsKey(config.secretsFile)
  const store = await openStore(await storeOptionsOf(config, context.env))
  const keepsPrevious = !values.retire
  try {
    if (values['key-file']) return await rotateKeyFile(values, context, { file: config.secretsFile, keys: key, store })
    const purposes = [
      ...(['jwt', 'cookie', 'ssh-ca', 'visitor-ca'] as const),
      ...(values['host-key'] ? (['ssh-host'] as const) : []),
      ...(values['visitor-ssh-key'] ? (['visitor-ssh-ca'] as const) : []),
    ]
    const made = await rotateSecrets(store, key, { purposes, keepsPrevious, now: Date.now() })
    const before = keepsPrevious ? 'the keys before stay good until the next time' : 'the keys before are over; everybody logs in again'
    const host = values['host-key'] ? '\nnext: start the service again, and tell people of the new host key (ssh-keyscan)' : ''
    return write(values, context, { made, keepsPrevious }, `made ${made.join(', ')}; ${before}${host}\n`)
  } finally {
    await store.close()
  }
}

interface KeyFile {
  readonly file: string
  /** In it by now. */
  readonly keys: Buffer
  readonly store: Store
}

const KEY_BYTES = 32

/** At every moment the file has the keys of all that is sealed: first both, then the database, then what is not needed goes. */
async function rotateKeyFile(
  values: ValuesOf<typeof serviceRotateOptions>,
  context: CliContext,
  { file, keys, store }: KeyFile,
): Promise<ExitStatus> {
  const fresh = Buffer.from(createSecretsKey().trim(), 'base64url')
  const all = Buffer.concat([fresh, keys])
  await writeSecretsKey(file, all)
  await resealSecrets(store, all)
  const keepsPrevious = !values.retire
  await writeSecretsKey(file, keepsPrevious ? Buffer.concat([fresh, keys.subarray(0, KEY_BYTES)]) : fresh)
  const before = keepsPrevious
    ? 'the key before stays in the file, for copies of the database, until the next time or --retire'
    : 'the key before is over, and copies of the database from before cannot be used without it'
  const next = `next: keep a copy of ${file}, give it to each host of the service, and start them again`
  return write(values, context, { file, keepsPrevious }, `made a new key in ${file} and sealed all secrets anew; ${before}\n${next}\n`)
}
