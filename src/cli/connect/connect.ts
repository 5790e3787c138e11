import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { GatewayError, messageOf } from '../../errors.ts'
import type { Session } from '../../client/session.ts'
import type { Connection } from '../../client/wire.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { connectOptions, tunnelConnectOptions } from '../options/client.ts'
import { findSocket, idOf } from '../client/find-socket.ts'
import { startInspection } from '../inspect/start-inspection.ts'
import { createLog } from '../../telemetry/log.ts'
import { createFreshKey, type FreshKey } from '../client/fresh-key.ts'
import { openSession } from '../client/open.ts'
import { socketRequest } from '../client/socket-request.ts'
import { portService, type LocalService } from './local-service.ts'
import { Screen } from './screen.ts'
import type { Serving } from './serving.ts'

type Live = ValuesOf<typeof tunnelConnectOptions> | ValuesOf<typeof connectOptions>

/** The port of the user's service. @throws GatewayError USAGE */
function portOf(argument: string | undefined, option: number | undefined, command: string): number {
  if (argument !== undefined && option !== undefined)
    throw new GatewayError('USAGE', `the port is given twice: the argument and --port ${option} both mean the port of your service`)
  if (argument === undefined && option === undefined)
    throw new GatewayError(
      'USAGE',
      `required flag(s) "port" not set: the port of your service, such as: socket-gateway ${command} ${command === 'connect' ? '8000' : '--port 8000'}`,
    )
  const port = option ?? (/^\d{1,5}$/.test(argument ?? '') ? Number(argument) : 0)
  if (port < 1 || port > 65_535) throw new GatewayError('USAGE', `error: invalid port: ${JSON.stringify(argument)}; expected 1 to 65535`)
  return port
}

function warnOfIdentityFile({ 'identity-file': file }: Live, { stderr }: CliContext): void {
  if (file !== undefined) stderr.write('Warning: --identity_file has no effect: a key is made for each connection\n')
}

/** The inner layer is loaded while the API is at work. */
function loadServing(): Promise<typeof Serving> {
  const loading = import('./serving.ts').then(module => module.Serving)
  loading.catch(() => undefined) // told by whoever waits for it
  return loading
}

/** `connect`: a port of this machine. */
export async function runConnect(
  argument: string | undefined,
  values: ValuesOf<typeof connectOptions>,
  context: CliContext,
): Promise<ExitStatus> {
  const port = portOf(argument, values.port, 'connect')
  return connectService(portService({ host: values.host, port }), { ...values, name: values.name ?? `Local port ${port}` }, context)
}

/** A socket, a tunnel, and the connection that serves it, in one step; the end of the process takes all of it away. */
export async function connectService(
  service: LocalService,
  values: ValuesOf<typeof connectOptions> & { readonly name: string; readonly qr?: boolean },
  context: CliContext,
): Promise<ExitStatus> {
  const enteredMs = performance.now()
  const request = socketRequest(values, context)
  warnOfIdentityFile(values, context)
  const session = await openSession(values, context)
  const key = createFreshKey()
  const stop = new AbortController()
  // A terminal that is closed leaves no socket behind.
  const stopped = context.untilStopped({ hangup: true }).then(() => stop.abort())
  let connection: Connection
  const loading = loadServing()
  try {
    connection = await session.client.connect({ ...request, jwk: key.jwk }, randomUUID(), stop.signal)
  } catch (error) {
    // Was it made all the same, it goes by itself in a minute.
    if (stop.signal.aborted) return 0
    throw error
  }
  const remove = async (): Promise<void> => {
    context.stderr.write('cleaning up...\n')
    await session.client.deleteSocket(connection.socket.id).catch((error: unknown) => {
      if (error instanceof GatewayError && error.code === 'NOT_FOUND') return
      context.stderr.write(`the socket could not be removed, and goes by itself in a minute: ${messageOf(error)}\n`)
    })
  }
  return serve(
    { session, connection, key, service, enteredMs, stopped, values, context, loading, hint: 'Ctrl-C ends it and removes the socket' },
    remove,
  )
}

/** `tunnel connect`: serves a tunnel of a socket that stays. */
export async function runTunnelConnect(values: ValuesOf<typeof tunnelConnectOptions>, context: CliContext): Promise<ExitStatus> {
  const enteredMs = performance.now()
  const port = portOf(undefined, values.port, 'tunnel connect')
  warnOfIdentityFile(values, context)
  const session = await openSession(values, context)
  const { client } = session
  const socket = await findSocket(client, idOf(values['socket-id'], undefined, 'socket_id', 'socket-gateway socket ls'))
  const tunnelId = values['tunnel-id']
  const [first, second] = socket.tunnels
  if (tunnelId === undefined && second !== undefined)
    throw new GatewayError(
      'USAGE',
      `required flag(s) "tunnel_id" not set: this socket has ${socket.tunnels.length} tunnels; find it with: socket-gateway tunnel ls --socket_id ${socket.id}`,
    )
  const tunnel = tunnelId === undefined ? (first ?? (await client.createTunnel(socket.id))) : await client.tunnel(socket.id, tunnelId)
  const key = createFreshKey()
  const stopped = context.untilStopped().then(() => undefined)
  const loading = loadServing()
  const credentials = await client.tunnelCredentials(socket.id, tunnel.id, key.jwk)
  const connection = { socket, tunnel, credentials }
  const service = portService({ host: values.host, port })
  const leave = async (): Promise<void> => void context.stderr.write('User disconnected...\n')
  return serve(
    { session, connection, key, service, enteredMs, stopped, values, context, loading, hint: 'Ctrl-C ends it, the socket stays' },
    leave,
  )
}

const SAID_AFTER_MS = 500

interface Served {
  readonly session: Session
  readonly connection: Connection
  readonly key: FreshKey
  readonly service: LocalService
  readonly enteredMs: number
  readonly stopped: Promise<void>
  readonly values: Live & { readonly qr?: boolean }
  readonly context: CliContext
  readonly hint: string
  readonly loading: Promise<typeof Serving>
}

/** @param after  what to do when nothing is served any more, and it was asked to end */
async function serve(served: Served, after: () => Promise<void>): Promise<ExitStatus> {
  const { session, connection, key, values, context, enteredMs, hint, stopped, loading } = served
  const { socket, tunnel, credentials } = connection
  const screen = new Screen(context, values)
  screen.socket(socket)
  if (socket.visitors !== null)
    screen.say('visitors have to log in; where the gateway has no login for visitors they get 503, and nobody comes in by mistake')
  if (credentials === null) throw new GatewayError('SERVICE_UNREACHABLE', 'the service has registered no key for this tunnel; try again')
  const log = createLog({ level: 'error', format: 'pretty', destination: { write: text => context.stderr.write(text) } })
  const inspection = await startInspection(values, log)
  if (inspection !== undefined) screen.inspector(inspection.url)
  const stopRenewing = session.keepAlive(error => screen.say(`${error.message}; the connection stays until its key is over`))
  try {
    const serving = await (
      await loading
    ).start({
      session,
      socket,
      tunnel,
      credentials,
      key,
      screen,
      context,
      enteredMs,
      hint,
      service: served.service,
      drainTimeoutMs: values['drain-timeout'],
      isInsecureAllowed: values.insecure,
      inspection,
      log,
      caFile: values.ca,
    })
    const status = await Promise.race([stopped, serving.ended])
    if (status !== undefined) return status
    // Said only where somebody would wonder why nothing happens.
    const seconds = values['drain-timeout'] / 1000
    const waits = setTimeout(
      () => screen.say(`waiting up to ${seconds} s for requests in flight; Ctrl-C again ends at once`),
      SAID_AFTER_MS,
    )
    await serving.close().finally(() => clearTimeout(waits))
  } finally {
    stopRenewing()
    await inspection?.close()
  }
  await after()
  return 0
}
