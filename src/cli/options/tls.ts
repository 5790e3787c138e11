import { GatewayError } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'
import { parseDuration } from '../../units/durations.ts'
import { CertificateStore, type ServerPair } from '../../tls/certificate-store.ts'
import { isPlaceholder } from '../../tls/placeholder.ts'
import { FILE, flag, integer, listOf, optional, PORT, type Reader, type ValuesOf } from '../command/option.ts'

/** A year, RFC 6797 §6.1.1 in seconds; what `--hsts` alone means. */
const HSTS_SECONDS = 31_536_000
const SECONDS = integer(0, 2 ** 31 - 1, 'seconds')

const HSTS: Reader<number> = {
  expected: `${SECONDS.expected}, or a duration such as 365d`,
  read: text => {
    if (text === '' || text === 'true') return HSTS_SECONDS
    // Its unit is that of the field; with another one it is a duration as everywhere.
    const ms = /[a-z]$/.test(text) ? parseDuration(text) : undefined
    return SECONDS.read(ms === undefined ? text : String(Math.floor(ms / 1_000)))
  },
}

/** The options of TLS at the ports of the outer layer. */
export const tlsOptions = {
  'tls-certificate': listOf(FILE, {
    describe:
      'File with a certificate and its chain: the app port speaks HTTPS; repeatable, chosen by name (SNI), the first is the default. A directory takes every NAME.crt or NAME.pem with its NAME.key. Reloaded when a file changes',
    fallback: [],
  }),
  'tls-key': listOf(FILE, {
    describe: 'File with the key of a --tls-certificate, in the same order; readable by its owner only',
    fallback: [],
  }),
  'app-http-port': optional(PORT, {
    describe: 'Port that redirects plain HTTP to the app port, with --tls-certificate or --acme; 0 picks a free one',
    defaultText: 'none',
  }),
  hsts: {
    ...optional(HSTS, {
      describe: `Tell browsers to come by https: only, for so many seconds; without a number ${HSTS_SECONDS}, a year`,
      defaultText: 'off',
    }),
    mayBeEmpty: true,
  },
  http2: {
    ...flag('Speak HTTP/2 beside HTTP/1.1 on the app port, with --tls-certificate; --no-http2 turns it off'),
    defaultText: 'on',
    fallback: true,
  },
  'app-h2c': flag('Speak HTTP/2 with prior knowledge (h2c) beside HTTP/1.1 on the app port, without --tls-certificate'),
  'socket-tls-certificate': listOf(FILE, {
    describe: 'The same as --tls-certificate for the socket port, which then speaks wss:',
    fallback: [],
  }),
  'socket-tls-key': listOf(FILE, { describe: 'The same as --tls-key for --socket-tls-certificate', fallback: [] }),
  'socket-client-ca': optional(FILE, {
    describe:
      'File with authorities: inner layers need a client certificate of one of them, for the key that they prove (--inner-layer-certificate). With --socket-tls-certificate',
    defaultText: 'none are asked for',
  }),
} as const

/** With --acme, certificates come in time. */
type TlsValues = ValuesOf<typeof tlsOptions> & { readonly acme?: string | undefined }

/** The TLS ports that the options ask for, not started. */
export interface TlsPorts {
  /** Of the app port; undefined: plain HTTP. */
  readonly app: CertificateStore | undefined
  /** Of the socket port; undefined: plain ws:. */
  readonly socket: CertificateStore | undefined
}

/**
 * Makes the stores of certificates that the options name; start both before the layer.
 * @throws GatewayError USAGE for an option that makes no sense without certificates
 */
export function createTlsPorts(values: TlsValues, log: Log, onMissing?: (serverName: string) => void): TlsPorts {
  const app = createAppCertificates(values, log, { onMissing })
  const certificates = values['socket-tls-certificate']
  const keys = values['socket-tls-key']
  const clientCa = values['socket-client-ca']
  if (app === undefined && values.acme === undefined) {
    require(values['app-http-port'] ===
      undefined, '--app-http-port redirects to HTTPS; give --tls-certificate or --acme, or use --app-port alone')
    require(values.hsts === undefined, '--hsts is for HTTPS; give --tls-certificate or --acme, or have the proxy with TLS send that field')
    require(values['tls-key'].length === 0, '--tls-key needs --tls-certificate')
  }
  require(app === undefined || !values['app-h2c'], '--app-h2c is HTTP/2 without TLS; with --tls-certificate clients get HTTP/2 by ALPN')
  if (certificates.length > 0) {
    const optionNames = { certificate: '--socket-tls-certificate', key: '--socket-tls-key' }
    const socket = { certificates, keys, optionNames, ...(clientCa !== undefined && { clientCa }) }
    return { app, socket: new CertificateStore({ ...socket, ...reportsOf('socket port', log) }) }
  }
  require(keys.length === 0, '--socket-tls-key needs --socket-tls-certificate')
  require(clientCa === undefined, '--socket-client-ca needs --socket-tls-certificate: only TLS has client certificates')
  return { app, socket: undefined }
}

/** Another store over the files of `--socket-tls-certificate`, for nodes of a cluster; undefined when there are none. */
export function createNodeCertificates(values: TlsValues, log: Log): CertificateStore | undefined {
  const certificates = values['socket-tls-certificate']
  if (certificates.length === 0) return undefined
  return new CertificateStore({ certificates, keys: values['socket-tls-key'], ...reportsOf('port of other nodes', log) })
}

/** The difference of a store over the files of `--tls-certificate` from others. */
export interface AppCertificates {
  /** File with authorities: clients need a certificate of one of them. */
  readonly clientCa?: string | undefined
  /** File with lists of what these have revoked. */
  readonly clientCrl?: string | undefined
  /** Where they are shown, for the log. Default: the app port. */
  readonly port?: string
  /** Told of names that clients ask for and no certificate is for. */
  readonly onMissing?: ((serverName: string) => void) | undefined
}

/** Another store over the files of `--tls-certificate`; undefined when there are none. */
export function createAppCertificates(
  values: Pick<TlsValues, 'tls-certificate' | 'tls-key'>,
  log: Log,
  { clientCa, clientCrl, port = 'app port', onMissing }: AppCertificates,
): CertificateStore | undefined {
  const certificates = values['tls-certificate']
  if (certificates.length === 0) return undefined
  return new CertificateStore({
    certificates,
    keys: values['tls-key'],
    ...(clientCa !== undefined && { clientCa, clientCrl }),
    onMissing,
    ...reportsOf(clientCa === undefined ? port : `ports with ${clientCa}`, log),
  })
}

function reportsOf(port: string, log: Log): Pick<ConstructorParameters<typeof CertificateStore>[0], 'onChange' | 'onRecovery' | 'onFault'> {
  let isFirst = true
  let verb = 'loaded'
  return {
    onChange: pairs => {
      if (pairs.every(({ source }) => isPlaceholder(source)))
        return log.info(
          {},
          `there is no certificate for the ${port} yet: until the authority has issued one, nobody trusts what is shown there`,
        )
      log[isFirst ? 'debug' : 'info']({ certificates: pairs.map(factsOf) }, `certificates of the ${port} ${verb}: ${pairs.length} in force`)
      isFirst = false
      verb = 'reloaded'
    },
    onRecovery: pairs =>
      log.info({ certificates: pairs.map(factsOf) }, `certificates of the ${port} are good again: ${pairs.length} in force, as before`),
    onFault: fault => log.error({ code: fault.code }, `certificate of the ${port} not in force, the last good one is: ${fault.message}`),
  }
}

const factsOf = ({ source, names, notAfter }: ServerPair): object => ({ file: source, names, notAfter: new Date(notAfter).toISOString() })

function require(condition: boolean, message: string): void {
  if (!condition) throw new GatewayError('USAGE', message)
}
