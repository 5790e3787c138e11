/** `http`: a port, a URL or a folder of this machine, reachable at once: here and in the network, or by a public name of a service. */
import { GatewayError } from '../../errors.ts'
import { hashPassword } from '../../identity/password-hash.ts'
import type { LogLine } from '../../payload/log-note.ts'
import { createLog } from '../../telemetry/log.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { credentialsOf } from '../client/open.ts'
import { passwordOf } from '../client/socket-request.ts'
import { connectService } from '../connect/connect.ts'
import { startInspection } from '../inspect/start-inspection.ts'
import type { LocalService } from '../connect/local-service.ts'
import { OriginWatch } from '../connect/origin-watch.ts'
import { Screen } from '../connect/screen.ts'
import { connectOptions } from '../options/client.ts'
import { localOnlyOptions, type httpOptions } from '../options/http.ts'
import { lanAddresses, lanNames } from '../../net/machine-addresses.ts'
import { parseDestination, type Destination } from './destination.ts'
import { startLocalGateway } from './local-gateway.ts'
import { localTable } from './local-targets.ts'
import { serviceOf } from './service-of.ts'

type HttpValues = ValuesOf<typeof httpOptions>

/** Names by which a browser on this machine comes. */
const HERE = ['localhost', '*.localhost', '127.0.0.1', '[::1]'] as const

/** The first argument decides what is served, the options where it can be reached. @throws GatewayError */
export async function runHttp(argument: string | undefined, values: HttpValues, context: CliContext): Promise<ExitStatus> {
  const destination = parseDestination(argument, values)
  const service = await serviceOf(destination, values['hidden-files'])
  return (await isForService(values, context))
    ? runPublic(destination, service, values, context)
    : runLocal(destination, service, values, context)
}

/** Is there a service that gives it a public name? */
async function isForService(values: HttpValues, context: CliContext): Promise<boolean> {
  if (values.local) {
    if (values.server !== undefined && context.env['SG_SERVER'] === undefined)
      throw new GatewayError('USAGE', '--local and --server say the opposite; give one of them')
    return false
  }
  return values.server !== undefined || (await credentialsOf(values, context).currentServer()) !== undefined
}

function runPublic(destination: Destination, service: LocalService, values: HttpValues, context: CliContext): Promise<ExitStatus> {
  const given = Object.keys(localOnlyOptions).filter(name => {
    const value = values[name as keyof typeof localOnlyOptions]
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false
  })
  if (given.length > 0)
    throw new GatewayError(
      'USAGE',
      `${given.map(name => `--${name}`).join(', ')}: for a gateway on this machine, and this would be a public name by the service; add --local`,
    )
  const name = values.name ?? (destination.kind === 'folder' ? `Folder ${destination.path}` : `Local port ${destination.port}`)
  const isSecure = destination.kind === 'port' && destination.protocol === 'https'
  const unset = Object.fromEntries(Object.entries(connectOptions).map(([option, { fallback }]) => [option, fallback]))
  const wanted = { ...(unset as ValuesOf<typeof connectOptions>), ...values, name, type: isSecure ? 'https' : 'http' }
  return connectService(service, wanted, context)
}

async function runLocal(destination: Destination, service: LocalService, values: HttpValues, context: CliContext): Promise<ExitStatus> {
  if (values.label !== undefined)
    throw new GatewayError('USAGE', '--label is for a public name by a service; log in to one, or give --server')
  const password = passwordOf(values)
  const isOpen = values.lan || values.qr
  const addresses = isOpen ? lanAddresses() : []
  const screen = new Screen(context, values)
  const watch = new OriginWatch(service, message => screen.say(message))
  const log = createLog({ level: 'error', format: 'pretty', destination: { write: text => context.stderr.write(text) } })
  context.onLog?.(log)
  const stopped = context.untilStopped()
  let isStrangerTold = false
  const onLine = (line: LogLine, isStranger: boolean): void => {
    screen.lines([line])
    if ('status' in line && line.status >= 502) watch.look()
    if (!isStranger || isStrangerTold) return
    isStrangerTold = true
    screen.say('somebody asked by a name that this is not for, and got 421; if it is a name of this machine, add: --allow-host NAME')
  }
  const table = localTable({
    destination,
    hosts: [...new Set([...HERE, ...addresses, ...(isOpen ? lanNames() : []), ...values['allow-host']])],
    password: password === undefined ? undefined : { user: password.user, hash: await hashPassword(password.password) },
    onLine,
  })
  const inspection = await startInspection(values, log)
  const gateway = await startLocalGateway({
    inspection,
    service,
    table,
    appPort: values['app-port'],
    avoidedPort: destination.kind === 'port' ? destination.port : undefined,
    appHost: isOpen ? undefined : '127.0.0.1',
    drainTimeoutMs: values['drain-timeout'],
    log,
  })
  const at = (host: string): string => `http://${host}:${gateway.port}`
  screen.listening(at('localhost'), service.urlOf('http'), addresses.map(at))
  if (inspection !== undefined) screen.inspector(inspection.url)
  if (isOpen && addresses.length === 0) screen.say('this machine has no address in a network, so nobody else can come')
  watch.look()
  await stopped
  watch.close()
  await gateway.close()
  await inspection?.close()
  await log.flush()
  return 0
}
