/** The command line of sokken, with the flags of Go's `flag` package: `-x 1`, `--x 1`, `-x=1`. */
import { GatewayError } from '../errors.ts'
import { parseHostPort, type HostPort } from '../address/host-port.ts'

interface Flag {
  readonly type: 'bool' | 'int' | 'string'
  readonly fallback: boolean | number | string
  readonly help: string
  /** Least value of an int. */
  readonly least?: number
}

const FLAGS = {
  'max-connections': { type: 'int', fallback: 100, least: 1, help: 'when reached further connections are rejected' },
  'log-debug': { type: 'bool', fallback: false, help: 'sets log level to DEBUG rather than INFO' },
  'log-pretty': { type: 'bool', fallback: false, help: 'logs to console, in colourful non-json format - overrides log-file option' },
  'log-file': { type: 'string', fallback: '', help: 'sets path of log file, if absent log to stderr' },
  'log-max-size-mb': { type: 'int', fallback: 10, least: 1, help: 'max file size before rotation' },
  'log-max-age-days': { type: 'int', fallback: 1, least: 0, help: 'rotated files are deleted after this age, 0 keeps them' },
  'log-max-rotated': { type: 'int', fallback: 7, least: 0, help: 'number of rotated files to keep, 0 keeps all' },
  'tls-certificate': { type: 'string', fallback: '', help: 'server: file with the certificate chain, speaks TLS (https and wss)' },
  'tls-key': { type: 'string', fallback: '', help: 'server: file with the private key of the certificate' },
  ca: { type: 'string', fallback: '', help: 'client: file with the only certificate authorities to trust' },
  'token-file': {
    type: 'string',
    fallback: '',
    help: 'server: file with the tokens that are accepted, one a line; client: file with the token to send',
  },
  'no-compression': { type: 'bool', fallback: false, help: 'does not use permessage-deflate' },
  'dial-timeout': { type: 'int', fallback: 10_000, least: 1, help: 'milliseconds that connecting may take' },
  'drain-timeout': { type: 'int', fallback: 30_000, least: 0, help: 'milliseconds that connections get to end after SIGTERM' },
} as const satisfies Record<string, Flag>

type FlagName = keyof typeof FLAGS

/** The value of every flag. */
export type SokkenFlags = {
  readonly [Name in FlagName]: (typeof FLAGS)[Name]['type'] extends 'bool'
    ? boolean
    : (typeof FLAGS)[Name]['type'] extends 'int'
      ? number
      : string
}

/** The meaning of a command line. */
export type SokkenCommand =
  | { readonly mode: 'help' }
  | {
      readonly mode: 'server'
      readonly api: HostPort
      readonly apiText: string
      readonly targets: readonly string[]
      readonly flags: SokkenFlags
    }
  | {
      readonly mode: 'client'
      readonly api: HostPort
      readonly apiText: string
      readonly tunnels: readonly TunnelArgument[]
      readonly flags: SokkenFlags
    }

/** A pair of LISTEN_ADDR and REMOTE_URL. */
export interface TunnelArgument {
  readonly listen: HostPort
  readonly listenText: string
  readonly url: URL
  readonly urlText: string
}

const valueHelp = ({ type, fallback, help }: Flag): string => (type === 'int' ? `${help} (default ${String(fallback)})` : help)

/** The help, as sokken prints it. */
export const SOKKEN_USAGE = [
  'Usage: socket-gateway sokken server [OPTION]... API_ADDR REMOTE_ADDR [REMOTE_ADDR_2...]',
  '       socket-gateway sokken client [OPTION]... API_ADDR LISTEN_ADDR REMOTE_URL [LISTEN_2 REMOTE_2 ...]',
  'Tunnel TCP connections through WebSockets, as the program sokken does.',
  'Options, before or after the words, with one dash or two:',
  ...Object.entries<Flag>(FLAGS)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, flag]) => [`  -${name}${flag.type === 'bool' ? '' : ` ${flag.type}`}`, `        ${valueHelp(flag)}`]),
  '',
].join('\n')

const usage = (message: string): GatewayError => new GatewayError('USAGE', message)

function parseValue(name: FlagName, text: string): boolean | number | string {
  const flag: Flag = FLAGS[name]
  if (flag.type === 'string') return text
  if (flag.type === 'bool') {
    if (/^(?:1|t|true)$/i.test(text)) return true
    if (/^(?:0|f|false)$/i.test(text)) return false
    throw usage(`invalid boolean value ${JSON.stringify(text)} for -${name}`)
  }
  const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN
  const least = flag.least ?? 0
  if (!(value >= least && value <= 2 ** 31 - 1))
    throw usage(`invalid value ${JSON.stringify(text)} for flag -${name}: expected a whole number of at least ${least}`)
  return value
}

/** Splits flags from words. @returns undefined when the help is asked for */
function split(argv: readonly string[]): { readonly words: readonly string[]; readonly flags: SokkenFlags } | undefined {
  const words: string[] = []
  const values = Object.fromEntries(Object.entries<Flag>(FLAGS).map(([name, { fallback }]) => [name, fallback]))
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!
    if (argument === '--') {
      words.push(...argv.slice(i + 1))
      break
    }
    const [, name, inline] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argument) ?? []
    if (name === undefined) {
      if (argument.startsWith('-')) throw usage(`bad flag syntax: ${argument}`)
      words.push(argument)
    } else if (name === 'h' || name === 'help') return undefined
    else if (!Object.hasOwn(FLAGS, name)) throw usage(`flag provided but not defined: -${name}`)
    else {
      const flag = name as FlagName
      const text = inline ?? (FLAGS[flag].type === 'bool' ? 'true' : argv[++i])
      if (text === undefined) throw usage(`flag needs an argument: -${name}`)
      values[flag] = parseValue(flag, text)
    }
  }
  return { words, flags: values as SokkenFlags }
}

function hostPortOf(text: string, name: string): HostPort {
  const parsed = parseHostPort(text)
  if (parsed === undefined) throw usage(`${name} ${JSON.stringify(text)}: expected HOST:PORT, :PORT or [IPV6]:PORT`)
  return parsed
}

const SCHEMES: ReadonlySet<string> = new Set(['ws:', 'wss:', 'http:', 'https:'])

/** Reads the URL of a tunnel. @throws GatewayError USAGE, never with a password in its message */
export function tunnelUrlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !SCHEMES.has(url.protocol) || !/^[a-z]+:\/\//i.test(text) || url.host === '')
    throw usage(
      `REMOTE_URL ${JSON.stringify(text.replace(/\/\/[^/@]*@/, '//***@'))}: expected ws://, wss://, http:// or https://, such as ws://host:8000/tunnel/127.0.0.1:22`,
    )
  return url
}

/**
 * Reads the arguments after `socket-gateway sokken`.
 * @throws GatewayError USAGE
 */
export function parseSokkenArguments(argv: readonly string[]): SokkenCommand {
  const parsed = split(argv)
  if (parsed === undefined) return { mode: 'help' }
  const { words, flags } = parsed
  const [mode, apiText, ...rest] = words
  if (mode !== 'server' && mode !== 'client')
    throw usage(mode === undefined ? 'expected server or client' : `expected server or client, got ${JSON.stringify(mode)}`)
  if (apiText === undefined) throw usage('API_ADDR is missing')
  const api = hostPortOf(apiText, 'API_ADDR')
  if (mode === 'server') {
    if (rest.length === 0) throw usage('REMOTE_ADDR is missing: expected at least one address to tunnel to')
    if ((flags['tls-certificate'] === '') !== (flags['tls-key'] === '')) throw usage('-tls-certificate and -tls-key belong together')
    return { mode, api, apiText, targets: rest, flags }
  }
  if (rest.length === 0 || rest.length % 2 !== 0) throw usage('expected pairs of LISTEN_ADDR and REMOTE_URL')
  const tunnels = rest.flatMap((listenText, i) => {
    if (i % 2 !== 0) return []
    const urlText = rest[i + 1]!
    return [{ listen: hostPortOf(listenText, 'LISTEN_ADDR'), listenText, url: tunnelUrlOf(urlText), urlText }]
  })
  return { mode, api, apiText, tunnels, flags }
}
