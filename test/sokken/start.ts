/** Both ends of sokken in this process, on free ports, ended after the test file. */
import { TokenList } from '../../src/identity/token.ts'
import { tunnelUrlOf } from '../../src/sokken/arguments.ts'
import { SokkenClient } from '../../src/sokken/client.ts'
import { createSokkenLog } from '../../src/sokken/log.ts'
import { SokkenServer, type SokkenServerOptions } from '../../src/sokken/server.ts'
import { TargetList } from '../../src/sokken/target-list.ts'
import { ConnectionCount } from '../../src/tunnel/connection-count.ts'
import type { DialOptions } from '../../src/tunnel/dial.ts'
import { onCleanUp } from '../support/cleanup.ts'

/** One line of the log, parsed. */
export interface SokkenLine {
  readonly level: string
  readonly message: string
  readonly [name: string]: unknown
}

const capture = (): { readonly log: ReturnType<typeof createSokkenLog>; readonly lines: SokkenLine[] } => {
  const lines: SokkenLine[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as SokkenLine)
  return { log: createSokkenLog({ debug: true, pretty: false, write, now: () => new Date() }), lines }
}

export interface StartedServer {
  readonly port: number
  readonly server: SokkenServer
  readonly count: ConnectionCount
  readonly lines: readonly SokkenLine[]
}

export const startServer = async (
  targets: readonly string[],
  { max = 100, tokens, ...more }: Partial<Omit<SokkenServerOptions, 'tokens'>> & { max?: number; tokens?: readonly string[] } = {},
): Promise<StartedServer> => {
  const { log, lines } = capture()
  const count = new ConnectionCount(max)
  const server = new SokkenServer(
    {
      api: { host: '127.0.0.1', port: 0 },
      targets: new TargetList(targets),
      count,
      tokens: tokens === undefined ? undefined : new TokenList(tokens),
      compression: true,
      dialTimeoutMs: 5_000,
      clock: () => performance.now(),
      ...more,
    },
    log,
  )
  const { port } = await server.start()
  onCleanUp(() => server.destroy(''))
  return { port, server, count, lines }
}

export interface StartedClient {
  /** Ports, one for each URL. */
  readonly ports: readonly number[]
  readonly port: number
  readonly api: number
  readonly client: SokkenClient
  readonly count: ConnectionCount
  readonly lines: readonly SokkenLine[]
}

export const startClient = async (
  urls: readonly string[],
  { max = 100, ...dial }: Partial<DialOptions> & { max?: number } = {},
): Promise<StartedClient> => {
  const { log, lines } = capture()
  const count = new ConnectionCount(max)
  const client = new SokkenClient(
    {
      api: { host: '127.0.0.1', port: 0 },
      tunnels: urls.map(url => ({
        listen: { host: '127.0.0.1', port: 0 },
        listenText: '127.0.0.1:0',
        url: tunnelUrlOf(url),
        urlText: url,
      })),
      count,
      dial: { timeoutMs: 5_000, agent: 'test', deflate: true, ...dial },
      clock: () => performance.now(),
    },
    log,
  )
  const { api, listeners } = await client.start()
  onCleanUp(() => client.destroy(''))
  const ports = listeners.map(({ port }) => port)
  return { ports, port: ports[0]!, api: api.port, client, count, lines }
}
