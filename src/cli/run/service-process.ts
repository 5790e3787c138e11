import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSecretsKey } from '../../config/service/secrets-key.ts'
import { ServiceFile } from '../../config/service/service-file.ts'
import { storeOptionsOf } from '../../config/service/store-options.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { createHostLog } from '../../platform/host-channel.ts'
import { ServiceProcess, type PublicFacts } from '../../platform/service-process.ts'
import type { ServiceConfig } from '../../service/config.ts'
import type { LogLevel } from '../../telemetry/log.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'

/** Arguments of the service process, which the outer layer gives it as JSON. */
export interface ServiceProcessArguments {
  /** Path of service.yaml. */
  readonly file: string
  readonly logLevel: LogLevel
  readonly facts: PublicFacts
}

/**
 * Runs the service process: the outer layer starts it beside itself, and it ends with it.
 * @throws GatewayError USAGE when people start it
 */
export async function runServiceProcess([json = '']: readonly string[], context: CliContext): Promise<ExitStatus> {
  const { parent } = context
  if (parent === undefined) throw new GatewayError('USAGE', 'service-process is started by "outer-layer --service FILE", not by hand')
  const { file, logLevel, facts } = JSON.parse(json) as ServiceProcessArguments
  const log = createHostLog(parent, logLevel)
  context.onLog?.(log)
  let process: ServiceProcess | undefined
  const service = new ServiceFile(file, {
    onChange: (_config, fixed) => {
      process?.reconfigured()
      process?.fileTurned(undefined)
      const later =
        fixed.length === 0 ? '' : `; ${fixed.join(', ')} ${fixed.length === 1 ? 'counts' : 'count'} after a restart of the outer layer`
      log.info({ file }, `${file} reloaded${later}`)
    },
    onFault: fault => {
      process?.fileTurned(fault.message)
      log.error({ code: fault.code }, `${file} not reloaded, the last good one stays in force: ${fault.message}`)
    },
  })
  // From a terminal the same signal comes to the outer layer, which asks this process to end when it is time.
  void context.untilStopped({ hangup: true })
  try {
    const config = await service.start()
    refuseLostDatabase(config)
    const secretsKey = await readSecretsKey(config.secretsFile)
    const store = await storeOptionsOf(config, context.env)
    const mailPassword = await mailPasswordOf(config, context.env)
    process = new ServiceProcess({ config: () => service.config, store, secretsKey, mailPassword, facts, host: parent, log })
    await process.start()
    await process.ended
    return 0
  } catch (thrown) {
    parent.send({ type: 'failed', message: messageOf(thrown) })
    return 1
  } finally {
    await service.close()
    await log.flush()
  }
}

/**
 * Refuses to begin with an empty database where there was another one: a folder that is not mounted or a path that was changed would else
 * cost all sockets, which the outer layer goes on with as long as nobody says that there are none.
 * @throws GatewayError STORE_INVALID
 */
function refuseLostDatabase({ store, stateDirectory }: ServiceConfig): void {
  const directory = join(stateDirectory, 'directory.json')
  if (store.kind !== 'sqlite' || existsSync(store.file) || !existsSync(directory)) return
  throw new GatewayError(
    'STORE_INVALID',
    `${store.file}: the database of the service is gone, and this service has run before; put it back, or a copy of it, or correct "store" ` +
      `in service.yaml. To begin with an empty one, remove ${directory}`,
  )
}

async function mailPasswordOf({ mail }: ServiceConfig, env: CliContext['env']): Promise<string | undefined> {
  if (mail.kind !== 'smtp') return undefined
  const given = env['SG_MAIL_PASSWORD']
  if (given !== undefined && given !== '') return given
  if (mail.passwordFile === undefined) return undefined
  try {
    return (await readFile(mail.passwordFile, 'utf8')).split('\n')[0]?.trim()
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `mail.passwordFile ${mail.passwordFile}: ${messageOf(cause)}`, { cause })
  }
}
