import { isThisMachine } from '../../address/this-machine.ts'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { TunnelLogins } from '../../client/tunnel-logins.ts'
import { GatewayError } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { readPrivateKey, readPrivateKeyObject } from '../../identity/private-key.ts'
import { readToken } from '../../identity/token.ts'
import { createTunnelProof } from '../../identity/tunnel-proof.ts'
import { parseTunnelName } from '../../route/tunnel.ts'
import { createConnectionLog } from '../../telemetry/connection-log.ts'
import type { Log } from '../../telemetry/log.ts'
import { parseHostPort, type HostPort } from '../../address/host-port.ts'
import { askTunnel, refusalOf } from '../../tunnel/dial.ts'
import { Forwarder, shownUrl, type Forward, type ForwarderOptions } from '../../tunnel/forwarder.ts'
import { proxyFor } from '../../net/http-proxy.ts'
import { TUNNEL_PATH } from '../../tunnel/wire.ts'
import { AGENT } from '../../version.ts'
import { folderOf } from '../client/open.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { forwardOptions } from '../options/forward.ts'
import { certificateFile, PRIVATE_KEY_FILE, readOptionFile, type OptionFile } from '../command/option-file.ts'
import type { ValuesOf } from '../command/option.ts'
import { createServiceLog, serve } from '../command/serve.ts'
import { shown } from '../command/shown.ts'
import { GatewayLogin } from './gateway-login.ts'

type Options = ValuesOf<typeof forwardOptions>

const usage = (message: string): GatewayError => new GatewayError('USAGE', message)

const TOKEN_FILE: OptionFile = {
  option: '--token-file',
  expected: 'the token that opens the tunnels',
  remedy: 'make one with: socket-gateway token --file FILE',
}
const CA_FILE = certificateFile('--ca', 'of the authorities to trust')

const SCHEMES: ReadonlySet<string> = new Set(['ws:', 'wss:', 'http:', 'https:'])

function hostPortOf(text: string, name: string): HostPort {
  const place = parseHostPort(text)
  if (place === undefined) throw usage(`${name} ${JSON.stringify(text)}: expected HOST:PORT, such as 127.0.0.1:2222`)
  return place
}

/** HOST:PORT behind `/tunnel/`, as the gateway names it. */
function tunnelOf(url: URL): string {
  const [, text = ''] = url.pathname.split(TUNNEL_PATH)
  return parseTunnelName(decodeURIComponent(text)).name
}

function urlOf(text: string, { insecure }: Options): URL {
  const expected = 'expected a URL such as wss://gw.example.com/tunnel/db.lan:5432'
  if (!URL.canParse(text) || !/^[a-z]+:\/\//i.test(text)) throw usage(`URL ${shown(text)}: ${expected}`)
  const url = new URL(text)
  if (!SCHEMES.has(url.protocol) || !url.pathname.startsWith(TUNNEL_PATH)) throw usage(`URL ${shown(text)}: ${expected}`)
  try {
    tunnelOf(url)
  } catch {
    throw usage(`URL ${shown(text)}: ${expected}`)
  }
  const isEncrypted = url.protocol === 'wss:' || url.protocol === 'https:'
  if (!isEncrypted && !insecure && !isThisMachine(url.hostname))
    throw usage(
      `URL ${shown(text)}: not encrypted, everybody on the way could read the credentials and what is carried; use wss://, or pass --insecure`,
    )
  return url
}

function forwardsOf(words: readonly string[], options: Options): readonly Forward[] {
  if (words.length === 0 || words.length % 2 !== 0) throw usage('expected pairs of LISTEN and URL; see socket-gateway forward --help')
  const forwards = words.flatMap((listen, i) =>
    i % 2 === 0 ? [{ listen: hostPortOf(listen, 'LISTEN'), url: urlOf(words[i + 1]!, options) }] : [],
  )
  const seen = new Set<string>()
  for (const { listen } of forwards) {
    const key = `${listen.host}:${listen.port}`
    if (listen.port !== 0 && seen.has(key)) throw usage(`LISTEN ${key} is given twice; a port can be opened once`)
    seen.add(key)
  }
  return forwards
}

/** Returns the credentials that open the tunnels: a token, which is always the same, or a proof, which is fresh for each connection. */
async function authorizationOf(options: Options): Promise<(url: URL) => string | undefined> {
  const { 'token-file': tokenFile, 'private-key': keyFile, 'client-certificate': certificate, 'client-key': clientKey, login } = options
  if ([tokenFile, keyFile, certificate ?? clientKey, login ? '' : undefined].filter(each => each !== undefined).length > 1)
    throw usage('--token-file, --private-key, --client-certificate and --login: expected one of them')
  if (tokenFile !== undefined) {
    const token = await readOptionFile(tokenFile, TOKEN_FILE, readToken)
    return () => `Bearer ${token}`
  }
  if (keyFile === undefined) return () => undefined
  const key = await readOptionFile(keyFile, PRIVATE_KEY_FILE, readPrivateKey)
  return url =>
    `Bearer ${createTunnelProof(key, { tunnel: tunnelOf(url), url: `${url.protocol}//${url.host}`, nowSeconds: Date.now() / 1000 })}`
}

const CLIENT_KEY_FILE: OptionFile = {
  option: '--client-key',
  expected: 'the private key of the certificate in PEM',
  remedy: 'leave the option out together with --client-certificate',
}
const CLIENT_CERTIFICATE_FILE: OptionFile = {
  option: '--client-certificate',
  expected: 'the certificate of this program, and its chain, in PEM',
  remedy: 'leave the option out together with --client-key',
}

/** Reads the certificate for gateways that ask for one; undefined: none was given. */
async function readClient(options: Options, forwards: readonly Forward[]): Promise<ForwarderOptions['dial']['client']> {
  const { 'client-certificate': file, 'client-key': keyFile } = options
  if (file === undefined && keyFile === undefined) return undefined
  if (file === undefined || keyFile === undefined) throw usage('--client-certificate and --client-key: expected both of them')
  const open = forwards.find(({ url }) => url.protocol !== 'wss:' && url.protocol !== 'https:')
  if (open !== undefined) throw usage(`URL ${shownUrl(open.url)}: --client-certificate needs wss://, since only TLS has certificates`)
  const key = await readOptionFile(keyFile, CLIENT_KEY_FILE, readPrivateKeyObject)
  const cert = await readOptionFile(file, CLIENT_CERTIFICATE_FILE, each => readCertificates(each, key))
  return { cert, key: key.export({ type: 'pkcs8', format: 'pem' }) as string }
}

const gatewayOf = ({ protocol, host }: URL): string => `${protocol}//${host}`

/** The logins of `--login`, one for each gateway. */
function createLogins(
  forwards: readonly Forward[],
  { logins: file, ca: caFile }: Options,
  { dial, context, log }: { readonly dial: ForwarderOptions['dial']; readonly context: CliContext; readonly log: Log },
): ReadonlyMap<string, GatewayLogin> {
  const logins = new TunnelLogins(file ?? join(folderOf(context.env), 'tunnels.json'))
  const urls = new Map<string, URL[]>()
  for (const { url } of forwards) urls.set(gatewayOf(url), [...(urls.get(gatewayOf(url)) ?? []), url])
  const { ca } = dial
  return new Map(
    [...urls].map(([gateway, own]) => {
      const [first] = own
      const ask = async (authorization: string | undefined): Promise<void> => {
        const { response, body } = await askTunnel(first!, {}, { ...dial, authorization })
        throw refusalOf(first!, response, body)
      }
      const way = { env: context.env, ...(ca !== undefined && { ca }), ...(caFile !== undefined && { caOption: '--ca' }) }
      const tunnels = [...new Set(own.map(tunnelOf))]
      const show = (text: string): unknown => context.stderr.write(text)
      return [gateway, new GatewayLogin({ gateway, tunnels, logins, ask, way, show, log, now: Date.now })]
    }),
  )
}

/**
 * Runs `forward` until the process is asked to end.
 * @param words  LISTEN and URL, in pairs
 * @throws GatewayError for arguments, files and ports that cannot be used, and for credentials that the gateway does not accept
 */
export async function runForward(options: Options, words: readonly string[], context: CliContext): Promise<ExitStatus> {
  const forwards = forwardsOf(words, options)
  const api = options['api-listen'] === undefined ? undefined : hostPortOf(options['api-listen'], '--api-listen')
  const credentials = await authorizationOf(options)
  const ca = options.ca === undefined ? undefined : await readOptionFile(options.ca, CA_FILE, file => readCertificates(file))
  const client = await readClient(options, forwards)
  const log = await createServiceLog(options, context)
  const dial = {
    timeoutMs: options['connect-timeout'],
    agent: AGENT,
    ca,
    client,
    caOption: '--ca',
    pingMs: options['ping-interval'],
    proxyFor: (url: URL) => proxyFor(url, context.env),
  }
  const logins = options.login ? createLogins(forwards, options, { dial, context, log }) : undefined
  const forwarder = new Forwarder(
    {
      forwards,
      maxConnections: options['max-connections'],
      api,
      dial,
      authorization: url => (logins === undefined ? credentials(url) : logins.get(gatewayOf(url))?.authorization),
      onUnauthorized: url => logins?.get(gatewayOf(url))?.renew(),
      drainTimeoutMs: options['drain-timeout'],
      clock: () => performance.now(),
      record: createConnectionLog(log),
    },
    log,
  )
  const bare = forwards.find(({ url }) => url.username === '')
  const isBare = logins === undefined && client === undefined && options['token-file'] === undefined && options['private-key'] === undefined
  if (isBare && bare !== undefined)
    log.warn({}, `no credentials for ${shownUrl(bare.url)}; give --token-file, --private-key, --client-certificate or --login`)
  try {
    // Before anything takes signals: whoever does not want to log in after all ends it as any other program.
    for (const login of logins?.values() ?? []) await login.open()
    await serve(forwarder, log, context)
  } finally {
    for (const login of logins?.values() ?? []) login.close()
  }
  return 0
}
