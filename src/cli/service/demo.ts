import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { request as requestHttp } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CredentialsFile } from '../../client/credentials.ts'
import { parseServerUrl } from '../../client/server-url.ts'
import { ServiceClient } from '../../client/service-client.ts'
import { Session } from '../../client/session.ts'
import { GatewayError } from '../../errors.ts'
import { printable } from '../../telemetry/pretty.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { OptionTable, ValuesOf } from '../command/option.ts'
import { resolveOptions } from '../command/resolve.ts'
import { runConnect } from '../connect/connect.ts'
import { createDemoApi, type SeenRequest } from '../demo/demo-api.ts'
import { connectOptions } from '../options/client.ts'
import { outerLayerOptions } from '../options/layers.ts'
import type { serviceDemoOptions } from '../options/service.ts'
import { runOuterLayer } from '../run/outer-layer.ts'
import { createDemoLog } from './demo-log.ts'
import { setUpService } from './init.ts'

const ADMIN = 'admin@localhost'
const PATHS = ['/hello', '/events']
/** On a busy machine; what has ended is not waited for. */
const START_MS = 120_000

/** The values of a command, as if these flags stood on its command line. */
const valuesOf = <Table extends OptionTable>(table: Table, flags: Readonly<Record<string, unknown>>): ValuesOf<Table> =>
  resolveOptions(table, { flags, env: {}, config: new Map() })

/** The port, or a free one when it is taken. */
const portOrFree = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', error => (port === 0 ? reject(error) : resolve(portOrFree(0))))
    server.listen(port, 'localhost', () => {
      const { port: found } = server.address() as AddressInfo
      server.close(() => resolve(found))
    })
  })

/** Resolves when `look` does no longer fail. @param ended  of what is waited for: it fails then */
async function untilAnswers<T>(look: () => Promise<T>, ended: Promise<unknown>): Promise<T> {
  const deadline = performance.now() + START_MS
  let isOver = false
  void ended.finally(() => (isOver = true)).catch(() => undefined)
  for (;;) {
    try {
      return await look()
    } catch (error) {
      if (isOver || performance.now() > deadline) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

interface Stop {
  readonly stopped: Promise<undefined>
  readonly stop: () => void
}

function createStop(): Stop {
  let stop = (): void => undefined
  const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
  return { stopped, stop: () => stop() }
}

/** Status and body of a request, whatever the host; `fetch` does not let it be chosen, and few resolvers know names below localhost. */
const ask = (port: number, host: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    requestHttp({ host: 'localhost', port, path, headers: { Host: host }, agent: false }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve(`${response.statusCode ?? 0} ${body.trim().split('\n')[0] ?? ''}`))
      response.on('error', reject)
    })
      .on('error', reject)
      .end()
  })

/** `service demo`: a service, an account, a sample API behind a socket and some requests, all on this machine. */
export async function runServiceDemo(options: ValuesOf<typeof serviceDemoOptions>, context: CliContext): Promise<ExitStatus> {
  const say = (line = ''): void => {
    if (!options.json) context.stdout.write(`${line}\n`)
  }
  const tell = (event: string, facts: object): void => {
    if (options.json) context.stdout.write(`${JSON.stringify({ event, ...facts })}\n`)
  }
  const asked = options.once ? undefined : context.untilStopped()
  const closers: (() => Promise<unknown>)[] = []
  try {
    const folder = await mkdtemp(join(tmpdir(), 'socket-gateway-demo-'))
    closers.push(() => rm(folder, { recursive: true, force: true }))
    const [appPort, socketPort] = [await portOrFree(options['app-port']), await portOrFree(options['socket-port'])]
    const url = `http://localhost:${appPort}`
    const file = join(folder, 'service.yaml')
    const link = await setUpService(
      {
        zone: 'localhost',
        admin: ADMIN,
        service: file,
        store: 'sqlite:state/service.db',
        'ssh-port': undefined,
        force: false,
        appPort,
        socketPort,
      },
      context,
    )
    const layer = createStop()
    const letter = (text: string): void => {
      for (const line of ['', ...text.split('\n'), '']) say(printable(line))
      tell('letter', { text })
    }
    const outer = runOuterLayer(
      valuesOf(outerLayerOptions, {
        service: file,
        'app-port': appPort,
        'app-host': 'localhost',
        'socket-port': socketPort,
        'socket-host': 'localhost',
        'admin-port': 'none',
        'log-level': 'info',
        'log-format': 'json',
        'drain-delay': 0,
      }),
      {
        ...context,
        untilStopped: () => layer.stopped,
        logDestination: createDemoLog(join(folder, 'state', 'outbox'), { letter, errors: context.stderr }),
      },
    )
    outer.catch(() => undefined) // told by whoever waits for it
    closers.push(() => (layer.stop(), outer))
    const server = parseServerUrl(url)
    const anonymous = new ServiceClient({ server, env: {} })
    await untilAnswers(() => anonymous.version(), outer)
    say('socket-gateway service demo: accounts, public names, and a tunnel to a private API.')
    say()
    say(`  service     ${file}, zone localhost, API at ${url}`)
    tell('service', { file, zone: 'localhost', url })

    const password = randomBytes(12).toString('base64url')
    await anonymous.acceptInvitation({ token: link.split('#')[1] ?? '', name: 'Admin', password })
    const credentials = join(folder, 'credentials.json')
    const session = new Session({ server, env: {}, file: new CredentialsFile(credentials), now: Date.now })
    await session.login(ADMIN, password)
    say(`  account     ${ADMIN}, the first admin; password ${password}`)
    tell('account', { email: ADMIN, role: 'admin', password, credentials })

    const seen: SeenRequest[] = []
    const api = createDemoApi(seen)
    const apiPort = await new Promise<number>(resolve => api.listen(0, '127.0.0.1', () => resolve((api.address() as AddressInfo).port)))
    closers.push(() => new Promise(resolve => (api.close(resolve), api.closeAllConnections())))
    say(`  sample API  http://127.0.0.1:${apiPort}`)
    tell('sample-api', { url: `http://127.0.0.1:${apiPort}` })
    say()
    say(`$ socket-gateway connect ${apiPort} --name demo`)
    const tunnel = createStop()
    const logged = new Set<string>()
    const write = (text: string): unknown => {
      for (const path of PATHS) if (text.includes(`GET ${path} HTTP/`)) logged.add(path)
      return context.stdout.write(text)
    }
    const connection = runConnect(
      String(apiPort),
      valuesOf(connectOptions, { server: url, credentials, name: 'demo', json: options.json }),
      {
        ...context,
        stdout: { write, isTTY: context.stdout.isTTY, columns: context.stdout.columns },
        untilStopped: () => tunnel.stopped,
      },
    )
    connection.catch(() => undefined)
    closers.push(() => (tunnel.stop(), connection))
    const socket = await untilAnswers(async () => {
      const [first] = await session.client.allSockets()
      if (first?.tunnels[0]?.isConnected !== true) throw new GatewayError('NO_TUNNEL', 'the tunnel of the demo does not connect')
      return first
    }, connection)
    const said: string[] = []
    for (const path of PATHS) {
      const answer = await ask(appPort, socket.dnsName, path)
      said.push(`GET ${socket.url}${path}: ${answer}`)
      tell('request', { method: 'GET', url: `${socket.url}${path}`, answer })
    }
    // The lines of the log come behind the answers.
    const allLogged = async (): Promise<void> => {
      if (logged.size < PATHS.length) throw new Error('not yet')
    }
    await untilAnswers(allLogged, connection).catch(() => undefined)
    say()
    for (const line of said) say(line)
    if (asked === undefined) return 0
    say()
    say(`Try it by hand:  curl -i ${socket.url}/hello        or ${socket.url}/events in a browser`)
    say(`As a user:       socket-gateway socket ls --server ${url} --credentials ${credentials}`)
    say('Ctrl-C ends the demo.')
    await Promise.race([asked, outer, connection])
    return 0
  } finally {
    // In the order in which requests travel: the tunnel first, files last.
    for (const close of closers.reverse()) await close()
  }
}
