/** A gateway whose certificates are ordered by ACME, put together as the command line does it. */
import { join } from 'node:path'
import { connect } from 'node:tls'
import { openAcme, type AcmeValues } from '../../src/cli/acme/open-acme.ts'
import { createAppCertificates, createTlsPorts } from '../../src/cli/options/tls.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { Events } from '../../src/events/events.ts'
import type { CertificatesAnswer, CertificatesRequest } from '../../src/service-host/kept-certificates.ts'
import type { CertificateStore } from '../../src/tls/certificate-store.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { captureLog, startLayers, type Layers, type LogRecord } from '../support/layers.ts'
import type { Pebble } from '../support/pebble.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

export interface KeepingOptions {
  readonly targets: string
  readonly origin?: number
  readonly values?: Partial<AcmeValues>
  /** Sockets of a service that has them. */
  readonly sockets?: ReadonlySet<string>
  /** The database of the service, which keeps certificates. */
  readonly certificates?: (request: CertificatesRequest) => Promise<CertificatesAnswer>
  /** Plain HTTP at the port where Pebble asks. Default true. */
  readonly hasHttp?: boolean
  /** Default: where Pebble asks by TLS. */
  readonly appPort?: number
  readonly timing?: { readonly nowMs?: () => number; readonly lookMs?: number; readonly pauseScale?: number }
}

export interface Keeping {
  readonly layers: Layers
  readonly store: CertificateStore
  readonly events: Events
  readonly logs: readonly LogRecord[]
  readonly folder: string
  /** Resolves when a certificate for `name` is in force. */
  issued(name: string): Promise<void>
  /** A client has asked for a name that there is no certificate for. */
  readonly demand: (name: string) => void
  /** Other targets are in force for whoever orders. */
  replaceTargets(text: string): void
  close(): Promise<void>
}

const unset = {
  state: undefined,
  'acme-directory-ca': undefined,
  'acme-name': [],
  'acme-eab-kid': undefined,
  'acme-eab-key': undefined,
  'acme-dns-hook': undefined,
  'acme-dns-server': undefined,
  'acme-dns-key': undefined,
  'acme-dns-wait': 0,
  'tls-certificate': [],
} as const

export const startKeeping = async (pebble: Pebble, options: KeepingOptions): Promise<Keeping> => {
  const { targets, origin, sockets, certificates, hasHttp = true, timing = {} } = options
  const folder = options.values?.['acme-path'] ?? join(tempDir(), 'acme')
  const values = {
    ...unset,
    acme: 'operator@example.com',
    'acme-directory': pebble.directory,
    'acme-directory-ca': pebble.caFile,
    'acme-path': folder,
    'app-http-port': hasHttp ? pebble.httpPort : undefined,
    ...options.values,
  } as AcmeValues
  const { log, records } = captureLog()
  const events = new Events({ nowMs: Date.now, holdScale: 0.001, onFault: thrown => log.error({ err: thrown }, 'fault') })
  onCleanUp(() => events.close())
  const acme = await openAcme(values, { env: process.env }, log)
  const tlsValues = { 'tls-key': [], hsts: undefined, http2: true, 'app-h2c': false, 'socket-tls-certificate': [], 'socket-tls-key': [] }
  const { app: store } = createTlsPorts({ ...tlsValues, 'socket-client-ca': undefined, ...acme.options }, log, acme.onMissing)
  await store!.start()
  onCleanUp(() => store!.close())
  const layers = await startLayers({
    targets,
    ...(origin !== undefined && { origin }),
    outer: {
      appPort: options.appPort ?? pebble.tlsPort,
      tcpCertificates: (clientCa, clientCrl) =>
        createAppCertificates({ 'tls-key': [], ...acme.options }, log, {
          clientCa,
          clientCrl,
          onMissing: acme.onMissing,
        }),
      ...(hasHttp && { appHttpPort: pebble.httpPort }),
      appCertificates: store!,
      challenges: acme.challenges,
    },
  })
  let table = parseTargets(targets.replaceAll('{port}', '9'), 'targets.yaml')
  let changed = (): void => undefined
  const source = {
    get table() {
      return table
    },
    onChange: (listener: () => void) => {
      changed = listener
      return () => undefined
    },
  }
  const directory = { hasSocket: (host: string) => sockets?.has(host) === true }
  const isWithout = sockets === undefined && certificates === undefined
  const service = isWithout ? undefined : { names: { hosts: [], zone: 'edge.example.com' }, directory, certificates }
  acme.prepare({ table: source, service, store: store!, events, log, timing })
  onCleanUp(() => acme.close())
  await acme.start()
  const issued = async (name: string): Promise<void> => {
    const failures = (): readonly LogRecord[] => records.filter(({ level }) => level === 'error')
    await until(
      () => store!.pairs.some(({ names }) => names.includes(name)) || (failures().length > 0 && timing.pauseScale === undefined),
      {
        what: `a certificate for ${name}`,
      },
    )
    if (!store!.pairs.some(({ names }) => names.includes(name))) throw new Error(JSON.stringify(failures()))
  }
  const replaceTargets = (text: string): void => {
    table = parseTargets(text.replaceAll('{port}', '9'), 'targets.yaml')
    changed()
  }
  return { layers, store: store!, events, logs: records, folder, issued, demand: acme.onMissing, replaceTargets, close: () => acme.close() }
}

/** Opens TLS for a name; resolves with the serial number of what was shown. @throws Error for one that is not trusted */
export const shownTo = (port: number, name: string, ca?: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(
      { port, host: '127.0.0.1', servername: name, ...(ca === undefined ? { rejectUnauthorized: false } : { ca }) },
      () => {
        resolve(socket.getPeerX509Certificate()!.serialNumber)
        socket.destroy()
      },
    )
    socket.once('error', reject)
  })
