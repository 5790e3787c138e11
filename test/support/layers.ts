/** A real outer layer and real inner layers in this process, on free ports, with a key of their own; closed after the test file. */
import { createPrivateKey } from 'node:crypto'
import { TargetsFile } from '../../src/config/watch.ts'
import { mintKeyPair, type MintedPair } from '../../src/identity/certificate.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import { KeyFiles } from '../../src/identity/public-keys.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { createInnerLayer, type InnerLayer, type InnerLayerOptions } from '../../src/inner/inner-layer.ts'
import { createOuterLayer, type OuterLayer } from '../../src/outer/outer-layer.ts'
import type { OuterLayerOptions } from '../../src/outer/options/outer-options.ts'
import { createLog, type Log, type LogLevel } from '../../src/telemetry/log.ts'
import { onCleanUp } from './cleanup.ts'
import { ownPort } from './ports.ts'
import { startRelay, type Relay, type RelayOptions } from './relay.ts'
import { tempFile } from './temp.ts'
import { DEADLINE_MS, until } from './wait.ts'

/** One line of a log, parsed. */
export interface LogRecord {
  readonly level: LogLevel
  readonly msg: string
  readonly [name: string]: unknown
}

/** One access line, parsed. */
export interface AccessLine extends LogRecord {
  readonly requestId: string
  readonly client: string
  readonly host: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  readonly firstByteMs?: number
  readonly identifier?: string
  readonly error?: string
}

/** What `startLayers` makes. */
export interface LayersOptions {
  /** Port of the origin at 127.0.0.1: of every host when there are no `targets`, and of every `{port}` in them. */
  readonly origin?: number
  /** The targets file in YAML. */
  readonly targets?: string
  readonly outer?: Partial<OuterLayerOptions>
  /** For every inner layer; one connection each unless said otherwise. */
  readonly inner?: Partial<InnerLayerOptions>
  /** Inner layers at the start. Default 1. */
  readonly inners?: number
  /** Puts a relay between the inner layers and the outer layer. */
  readonly relay?: Omit<RelayOptions, 'target'>
  /** Default 'debug'. */
  readonly logLevel?: LogLevel
}

/** The running layers. */
export interface Layers {
  readonly outer: OuterLayer
  /** In the order in which they were added. */
  readonly inners: readonly InnerLayer[]
  /** The only inner layer at the start. @throws Error when there is none */
  readonly inner: InnerLayer
  /** For clients. */
  readonly port: number
  /** For inner layers; the relay's when there is one. */
  readonly socketPort: number
  /** Between the inner layers and the outer layer. @throws Error when `relay` was not asked for */
  readonly relay: Relay
  /** Access lines so far, parsed. */
  readonly accessLog: readonly AccessLine[]
  /** Every other line of the outer layer so far. */
  readonly outerLogs: readonly LogRecord[]
  /** Every line of the inner layers so far. */
  readonly innerLogs: readonly LogRecord[]
  readonly targetsFile: string
  readonly privateKey: PrivateKey
  /** What `--public-key` names. */
  readonly certificateFile: string
  /** Starts another inner layer; resolves when all its connections are up. */
  addInner(options?: Partial<InnerLayerOptions>): Promise<InnerLayer>
  /** Resolves when the outer layer has this many connections of inner layers. */
  connected(count: number, deadlineMs?: number): Promise<void>
  /** Resolves with the access line of this request, or with the latest one when there are `count` of them. */
  accessLine(wanted: string | number): Promise<AccessLine>
  /** Ends everything at once. Idempotent. */
  close(): Promise<void>
}

let minted: Promise<MintedPair> | undefined

/** One EC pair for the whole test file: minting is what would take time. */
export const testKeyPair = (): Promise<MintedPair> => (minted ??= mintKeyPair({ type: 'ec', commonName: 'inner-layer', validityYears: 1 }))

/** The private half as an inner layer takes it. */
export const privateKeyOf = (pair: MintedPair): PrivateKey => ({
  key: createPrivateKey(pair.privateKeyPem),
  kid: pair.thumbprint,
  algorithm: 'ES256',
})

/** A log that keeps its lines, parsed, at level `level`. */
export const captureLog = (level: LogLevel = 'debug'): { readonly log: Log; readonly records: readonly LogRecord[] } => {
  const records: LogRecord[] = []
  const write = (text: string): void => {
    for (const line of text.split('\n')) if (line !== '') records.push(JSON.parse(line) as LogRecord)
  }
  return { log: createLog({ level, format: 'json', destination: { write } }), records }
}

/** Every host → http://127.0.0.1:PORT, everything allowed. */
const everything = (port: number): string => `targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: ${port}}\n`

/** Starts an outer layer and `inners` inner layers; resolves when all of them are connected. */
export const startLayers = async (options: LayersOptions = {}): Promise<Layers> => {
  const { origin = 9, targets = everything(origin), inners: count = 1, logLevel } = options
  const pair = await testKeyPair()
  const privateKey = privateKeyOf(pair)
  const certificateFile = tempFile('innerLayer.crt', pair.certificatePem)
  const targetsFile = tempFile('targets.yaml', targets.replaceAll('{port}', String(origin)))
  const outerLog = captureLog(logLevel)
  const innerLog = captureLog(logLevel)

  const keys = new KeyFiles([certificateFile])
  const targetsWatch = new TargetsFile(targetsFile, { onChange: () => undefined, onFault: () => undefined })
  const outer: OuterLayer = createOuterLayer(
    {
      appPort: options.outer?.appPort ?? (await ownPort()),
      appHost: '127.0.0.1',
      socketPort: options.outer?.socketPort ?? (await ownPort()),
      socketHost: '127.0.0.1',
      keys,
      targets: targetsWatch,
      // Beyond what a busy machine takes: what is to be late says so itself.
      timeoutMs: 100_000,
      validityMs: 30_000,
      trustProxy: ['loopback'],
      removeCsps: false,
      drainDelayMs: 0,
      drainTimeoutMs: 30_000,
      ...options.outer,
      // Tests say when nobody is there; whoever wants to wait says so.
      limits: { holdMs: 0, ...options.outer?.limits },
    },
    { log: outerLog.log },
  )
  const inners: InnerLayer[] = []
  let relay: Relay | undefined
  let closing: Promise<void> | undefined
  const close = (): Promise<void> =>
    (closing ??= (async () => {
      for (const inner of inners) inner.destroy()
      outer.destroy()
      await Promise.all([outer.close(), ...inners.map(inner => inner.close()), keys.close(), targetsWatch.close(), relay?.close()])
    })())

  await Promise.all([keys.start(), targetsWatch.start()])
  await outer.start()
  onCleanUp(close)
  if (options.relay !== undefined) relay = await startRelay({ ...options.relay, target: { host: '127.0.0.1', port: outer.ports.socket } })
  const socketPort = relay?.port ?? outer.ports.socket

  const connected = async (wanted: number, deadlineMs = DEADLINE_MS): Promise<void> => {
    await until(() => outer.registry.connections.length === wanted, { what: `${wanted} connections of inner layers`, deadlineMs })
  }
  const addInner = async (more: Partial<InnerLayerOptions> = {}): Promise<InnerLayer> => {
    const inner = createInnerLayer(
      {
        privateKey,
        outerLayers: [`ws://127.0.0.1:${socketPort}`],
        identifier: 'inner-layer',
        connections: 1,
        allowList: new AllowList([]),
        drainTimeoutMs: 30_000,
        ...(options.outer?.timing === undefined ? {} : { timing: options.outer.timing }),
        ...options.inner,
        ...more,
      },
      { log: innerLog.log },
    )
    inners.push(inner)
    const before = new Set(outer.registry.connections)
    const wanted = more.connections ?? options.inner?.connections ?? 1
    await inner.start()
    await until(() => outer.registry.connections.filter(connection => !before.has(connection)).length >= wanted, {
      what: `${wanted} connections of the new inner layer`,
    })
    return inner
  }
  for (let i = 0; i < count; i++) await addInner()

  const accessLog = (): AccessLine[] => outerLog.records.filter((record): record is AccessLine => record.msg === 'request')
  return {
    outer,
    inners,
    get inner() {
      const [inner] = inners
      if (inner === undefined) throw new Error('there is no inner layer')
      return inner
    },
    port: outer.ports.app,
    socketPort,
    get relay() {
      if (relay === undefined) throw new Error('startLayers was not asked for a relay')
      return relay
    },
    get accessLog() {
      return accessLog()
    },
    get outerLogs() {
      return outerLog.records.filter(record => record.msg !== 'request')
    },
    get innerLogs() {
      return innerLog.records
    },
    targetsFile,
    privateKey,
    certificateFile,
    addInner,
    connected,
    accessLine: wanted =>
      until(
        () => {
          const lines = accessLog()
          return typeof wanted === 'string'
            ? lines.find(line => line.requestId === wanted)
            : lines.length < wanted
              ? undefined
              : lines.at(-1)
        },
        { what: `access line ${wanted}` },
      ),
    close,
  }
}
