import { readServiceConfig } from '../../config/service/service-file.ts'
import { storeOptionsOf } from '../../config/service/store-options.ts'
import { backUpStore, openStore } from '../../store/store.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { serviceStoreOptions } from '../options/service.ts'

type Values = ValuesOf<typeof serviceStoreOptions>

const write = ({ json }: Values, { stdout }: CliContext, facts: object, text: string): 0 => {
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
