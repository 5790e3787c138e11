import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { parseServiceConfig } from '../../config/service/service-config.ts'
import { isHostName } from '../../config/service/service-schema.ts'
import { readServiceConfig } from '../../config/service/service-file.ts'
import { createSecretsKey } from '../../config/service/secrets-key.ts'
import { storeOptionsOf } from '../../config/service/store-options.ts'
import { GatewayError } from '../../errors.ts'
import { inviteFirstAdmin } from '../../service/accounts/invitations.ts'
import type { ServiceConfig } from '../../service/config.ts'
import { openStore } from '../../store/store.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { refuseExisting, writeNewFiles } from '../command/new-files.ts'
import type { ValuesOf } from '../command/option.ts'
import type { adminLinkOptions, serviceInitOptions } from '../options/service.ts'

const OWNER_ONLY = 0o600
const EVERYBODY = 0o644

type InitValues = ValuesOf<typeof serviceInitOptions>

/** A zone of this machine alone, for trials: no DNS, no TLS, no mail. */
const isTrial = (zone: string): boolean => zone === 'localhost'

/** The result of `setUpService`, with the ports of a service that is for this machine alone. */
export type SetUp = Omit<InitValues, 'json'> & { readonly appPort?: number; readonly socketPort?: number }

const APP_PORT = 3_000
const SOCKET_PORT = 3_001

/** The text of a file of the service, with what can be left out left out. */
export function serviceYaml({ zone: given, store, 'ssh-port': sshPort, socketPort = SOCKET_PORT }: SetUp): string {
  const zone = given.toLowerCase()
  const hosts = isTrial(zone)
    ? `hosts: {api: localhost, link: "ws://localhost:${socketPort}"}`
    : `hosts: {api: api.${zone}, link: "wss://link.${zone}:${socketPort}"}   # better not below the zone, where tenants set cookies`
  return `# The service, see docs/service.md. Followed while it runs: a bad change is logged with its line and not taken.
zone: ${JSON.stringify(zone)}
store: ${JSON.stringify(store)}
secrets: state/service.key
${hosts}
${sshPort === undefined ? '# ssh: {port: 22}' : `ssh: {port: ${sshPort}}`}
ports: 40000-59999
signUp: closed
mail: outbox   # or {smtp: smtps://mail.example.com, from: gateway@example.com}
`
}

/** Where people reach the API. */
const apiUrlOf = ({ hosts, zone }: ServiceConfig, appPort: number): string =>
  isTrial(zone) ? `http://${hosts.api}:${appPort}` : `https://${hosts.api}`

async function linkFor(config: ServiceConfig, email: string, { env }: Pick<CliContext, 'env'>, appPort = APP_PORT): Promise<string> {
  const store = await openStore(await storeOptionsOf(config, env))
  try {
    return await inviteFirstAdmin(store, { email, apiUrl: apiUrlOf(config, appPort), now: Date.now() })
  } finally {
    await store.close()
  }
}

/**
 * Writes the file of a service and the key of its secrets, and makes its database.
 * @returns the link for the first admin
 * @throws GatewayError FILE_EXISTS, CONFIG_INVALID, STORE_INVALID, STORE_UNAVAILABLE
 */
export async function setUpService(values: SetUp, context: Pick<CliContext, 'env'>): Promise<string> {
  const { service, force } = values
  // Else the fault would name a line of a file that is not there.
  if (!isHostName(values.zone)) {
    const got = JSON.stringify(values.zone)
    throw new GatewayError('CONFIG_INVALID', `--zone: expected a host name such as edge.example.com, got ${got}; nothing was written`)
  }
  const text = serviceYaml(values)
  const config = parseServiceConfig(text, service)
  if (!force) await refuseExisting([service, config.secretsFile])
  await mkdir(config.stateDirectory, { recursive: true, mode: 0o700 })
  // The database first: where it cannot be used, nothing is written that a second try would find.
  const link = await linkFor(config, values.admin ?? `admin@${config.zone}`, context, values.appPort)
  await writeNewFiles(
    [
      { path: service, mode: EVERYBODY, text },
      { path: config.secretsFile, mode: OWNER_ONLY, text: createSecretsKey() },
    ],
    force,
  )
  return link
}

/** `service init`: the file of the service, the key of its secrets, an empty database, and the link for the first admin. */
export async function runServiceInit(values: InitValues, context: CliContext): Promise<ExitStatus> {
  const link = await setUpService(values, context)
  const { service } = values
  const config = await readServiceConfig(service)
  const { secretsFile, zone } = config
  const email = values.admin ?? `admin@${zone}`
  const shownKey = path.relative('.', secretsFile)
  const tls = isTrial(zone)
    ? ''
    : ` --app-port 443 --tls-certificate FILE --tls-key FILE --socket-tls-certificate FILE --socket-tls-key FILE`
  const next = `socket-gateway outer-layer --service ${service}${tls}`
  if (values.json) {
    context.stdout.write(`${JSON.stringify({ service, secrets: secretsFile, next, admin: email, link }, null, 2)}\n`)
    return 0
  }
  const dns = isTrial(zone)
    ? []
    : [
        `names: *.${zone} and ${[config.hosts.api, `link.${zone}`].join(', ')} have to lead to this host, and a certificate for *.${zone} among FILE`,
      ]
  context.stdout.write(
    [
      `wrote ${service}: the service of the zone ${zone}`,
      `wrote ${shownKey}: the key of its secrets, readable by you only; keep a copy of it, they are lost without it`,
      ...dns,
      `next: ${next}`,
      `then the first admin, ${email}, once, within seven days:`,
      `  ${link}`,
      `  or: socket-gateway account create --invitation '${link}'`,
      '',
    ].join('\n'),
  )
  return 0
}

/** `service admin-link`: another link for the first admin, who has not come yet. The service must not run, or its database be PostgreSQL. */
export async function runAdminLink(values: ValuesOf<typeof adminLinkOptions>, context: CliContext): Promise<ExitStatus> {
  const config = await readServiceConfig(values.service)
  const email = values.admin ?? `admin@${config.zone}`
  const link = await linkFor(config, email, context)
  context.stdout.write(
    values.json ? `${JSON.stringify({ admin: email, link })}\n` : `${link}\nnext: socket-gateway account create --invitation '${link}'\n`,
  )
  return 0
}
