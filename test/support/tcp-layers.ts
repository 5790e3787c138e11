/** Layers with public TCP ports, and what their log says of connections. */
import type { Layers, LayersOptions, LogRecord } from './layers.ts'
import { startLayers } from './layers.ts'
import { freePort } from './ports.ts'
import { until } from './wait.ts'

/** The line of one connection, parsed. */
export interface ConnectionLine extends LogRecord {
  readonly connectionId: string
  readonly client: string
  readonly clientPort: number
  readonly port: number
  readonly target?: string
  readonly name?: string
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  readonly identifier?: string
  readonly error?: string
  readonly reason?: string
}

/** What `startTcpLayers` makes. */
export interface TcpLayers extends Layers {
  /** The public port. */
  readonly tcpPort: number
  /** Lines of connections so far. */
  readonly connectionLog: readonly ConnectionLine[]
  /** Resolves with the line of the `count`th connection that has ended. */
  connectionLine(count?: number): Promise<ConnectionLine>
}

/** Lines of connections among the lines of a log. */
export const connectionLines = (layers: Layers): readonly ConnectionLine[] =>
  layers.outerLogs.filter((record): record is ConnectionLine => record.msg === 'connection')

/** The section of one entry, in YAML. */
export const tcpSection = (entries: Readonly<Record<string, string>>): string =>
  `targets: {}\ntcp:\n${Object.entries(entries)
    .map(([key, keys]) => `  '${key}': {${keys}}\n`)
    .join('')}`

/** Starts layers with one public port; `keys` is its entry in YAML, without braces. */
export const startTcpLayers = async (keys: string, options: LayersOptions = {}): Promise<TcpLayers> => {
  const tcpPort = await freePort()
  const layers = await startLayers({ ...options, targets: tcpSection({ [tcpPort]: keys }) })
  return Object.defineProperties(layers as TcpLayers, {
    tcpPort: { value: tcpPort },
    connectionLog: { get: () => connectionLines(layers) },
    connectionLine: {
      value: async (count = 1) => until(() => connectionLines(layers)[count - 1], { what: `the line of connection ${count}` }),
    },
  })
}

/** An entry for an origin of this machine. */
export const toOrigin = (port: number, more = ''): string => `hostname: 127.0.0.1, port: ${port}${more === '' ? '' : `, ${more}`}`
