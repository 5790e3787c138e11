import { plural } from '../../telemetry/plural.ts'
import { performance } from 'node:perf_hooks'
import { asGatewayError, messageOf } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { readToken, readTokenList } from '../../identity/token.ts'
import { parseSokkenArguments, SOKKEN_USAGE, type SokkenCommand } from '../../sokken/arguments.ts'
import { shownUrl, SokkenClient } from '../../sokken/client.ts'
import { daysMs, LogFile } from '../../sokken/log-file.ts'
import { createSokkenLog, type SokkenLog } from '../../sokken/log.ts'
import { SokkenServer } from '../../sokken/server.ts'
import { TargetList } from '../../sokken/target-list.ts'
import { readServerPair } from '../../tls/server-pair.ts'
import { formatHostPort, type HostPort } from '../../address/host-port.ts'
import { ConnectionCount } from '../../tunnel/connection-count.ts'
import { proxyFor } from '../../net/http-proxy.ts'
import { AGENT } from '../../version.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext, StopSignal } from '../command/context.ts'

type Running = Exclude<SokkenCommand, { readonly mode: 'help' }>

/** As Go names them. */
const SIGNAL_NAMES: Readonly<Record<StopSignal, string>> = { SIGTERM: 'terminated', SIGINT: 'interrupt', SIGHUP: 'hangup' }
const GONE = 'the process ends'
/** For close frames to be sent and answered before the process ends, milliseconds. */
const FAREWELL_MS = 500

interface End {
  stop(): void
  destroy(reason: string): void
}

/**
 * `sokken server` and `sokken client`: the arguments behind the word sokken are those of the real program.
 * @returns 2 for a command line that is not valid, else 1: the end by a signal counts as one, as it does there
 */
export async function runSokken(argv: readonly string[], context: CliContext): Promise<ExitStatus> {
  let command: SokkenCommand
  try {
    command = parseSokkenArguments(argv)
    if (command.mode === 'server') new TargetList(command.targets) // its faults are those of the command line
  } catch (error) {
    context.stderr.write(`${messageOf(error)}\n${SOKKEN_USAGE}`)
    return 2
  }
  if (command.mode === 'help') {
    context.stdout.write(SOKKEN_USAGE)
    return 0
  }
  const { log, close } = createLog(command, context)
  // Before anything says that it is ready: whoever reads that may send a signal at once.
  const stopped = context.untilStopped({ hangup: true })
  try {
    const count = new ConnectionCount(command.flags['max-connections'])
    const end = command.mode === 'server' ? await startServer(command, count, log) : await startClient(command, count, log, context)
    const signal = (await stopped) ?? 'SIGTERM'
    end.stop()
    if (signal === 'SIGTERM' && count.active > 0) {
      log.info(`draining ${plural(count.active, 'connection')} for at most ${command.flags['drain-timeout']} ms`)
      await count.idle(command.flags['drain-timeout'])
    }
    end.destroy(GONE)
    await count.idle(FAREWELL_MS)
    log.fatal(`got signal '${SIGNAL_NAMES[signal]}', exiting`)
  } catch (error) {
    log.fatal(messageOf(error), { code: asGatewayError(error).code })
  } finally {
    close()
  }
  return 1
}

function createLog({ flags }: Running, { stdout, stderr }: CliContext): { readonly log: SokkenLog; readonly close: () => void } {
  const options = { debug: flags['log-debug'], now: () => new Date() }
  const write = (line: string): unknown => stderr.write(line)
  if (flags['log-pretty']) return { log: createSokkenLog({ ...options, pretty: true, write }), close: () => undefined }
  if (flags['log-file'] === '') return { log: createSokkenLog({ ...options, pretty: false, write }), close: () => undefined }
  const file = new LogFile({
    path: flags['log-file'],
    maxBytes: flags['log-max-size-mb'] * 1_048_576,
    maxAgeMs: daysMs(flags['log-max-age-days']),
    maxRotated: flags['log-max-rotated'],
    now: options.now,
  })
  stdout.write(`logging to ${flags['log-file']}\n`)
  return { log: createSokkenLog({ ...options, pretty: false, write: line => file.write(line) }), close: () => file.close() }
}

/** Returns the address as it was asked for, but for port 0: then with the port that was found. */
const shown = (text: string, place: HostPort): string => (text.endsWith(':0') ? formatHostPort(place) : text)

const clock = (): number => performance.now()

async function startServer(command: Running & { mode: 'server' }, count: ConnectionCount, log: SokkenLog): Promise<End> {
  const { flags, targets, api, apiText } = command
  const pair =
    flags['tls-certificate'] === ''
      ? undefined
      : await readServerPair(flags['tls-certificate'], flags['tls-key'], { clientCa: undefined, nowMs: Date.now() })
  const server = new SokkenServer(
    {
      api,
      targets: new TargetList(targets),
      count,
      tls: pair === undefined ? undefined : { certificate: pair.cert, key: pair.key },
      tokens: flags['token-file'] === '' ? undefined : await readTokenList(flags['token-file']),
      compression: !flags['no-compression'],
      dialTimeoutMs: flags['dial-timeout'],
      clock,
    },
    log,
  )
  const place = await server.start()
  log.info(`listening on ${shown(apiText, place)}, tunnelling to: [${targets.join(' ')}]`)
  log.info(`max connections: ${count.max}`)
  return server
}

async function startClient(
  command: Running & { mode: 'client' },
  count: ConnectionCount,
  log: SokkenLog,
  { env }: CliContext,
): Promise<End> {
  const { flags, tunnels, api, apiText } = command
  const client = new SokkenClient(
    {
      api,
      tunnels,
      count,
      dial: {
        timeoutMs: flags['dial-timeout'],
        agent: AGENT,
        authorization: flags['token-file'] === '' ? undefined : `Bearer ${await readToken(flags['token-file'])}`,
        ca: flags.ca === '' ? undefined : await readCertificates(flags.ca),
        deflate: !flags['no-compression'],
        proxyFor: url => proxyFor(url, env),
      },
      clock,
    },
    log,
  )
  const places = await client.start()
  log.info(`health endpoint listening on ${shown(apiText, places.api)}`)
  for (const [index, { listenText, urlText }] of tunnels.entries())
    log.info(`tunnelling ${shown(listenText, places.listeners[index]!)} to ${shownUrl(urlText)}`)
  log.info(`max connections: ${count.max}`)
  return client
}
