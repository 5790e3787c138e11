/** Options of the commands for users of the service; the names of the client of 2021 stand beside ours. */
import { inspectOptions } from './inspect.ts'
import {
  choice,
  duration,
  FILE,
  flag,
  integer,
  listOf,
  optional,
  PORT,
  required,
  size,
  TEXT,
  withDefault,
  type Option,
  type Reader,
} from '../command/option.ts'

/** Values that may stand in one text, with commas between them. */
const LIST: Reader<readonly string[]> = {
  expected: 'a list with commas',
  read: text =>
    text
      .split(',')
      .map(part => part.trim())
      .filter(part => part !== ''),
}

const flattened = (describe: string, aliases: readonly string[]): Option<readonly (readonly string[])[]> =>
  listOf(LIST, { describe, aliases, fallback: [] })

const TYPE: Reader<string> = { expected: 'a type of socket', read: text => text.toLowerCase() }
const MAYBE_EMPTY: Reader<string> = { expected: 'a text', read: text => text }

const LOCAL_PORT: Reader<number> = { expected: 'a port from 1 to 65535', read: text => (text === '0' ? undefined : PORT.read(text)) }

/** Options of every command that calls the API. */
export const clientOptions = {
  server: optional(TEXT, { describe: 'URL of the API of the service', defaultText: 'that of the last login' }),
  'api-token': optional(TEXT, {
    describe: 'Token of an account, instead of a login; give it in SG_API_TOKEN, since others on the machine can read a command line',
  }),
  ca: optional(FILE, {
    describe: 'File with the certificates of the only authorities to trust',
    defaultText: 'those of Node.js and NODE_EXTRA_CA_CERTS',
  }),
  credentials: optional(FILE, {
    describe: 'File of the logins, readable by its owner only',
    defaultText: '~/.config/socket-gateway/credentials.json',
  }),
  json: flag('Print the answer in JSON'),
} as const

/** Options of `login`. */
export const loginOptions = {
  email: optional(TEXT, { describe: 'E-mail address of the account', aliases: ['e'], defaultText: 'asked for' }),
  password: optional(TEXT, {
    describe: 'Password; better typed, written to standard input, or in SG_PASSWORD, since others on the machine can read a command line',
    aliases: ['p'],
    defaultText: 'asked for',
  }),
  ...clientOptions,
} as const

/** Options of `logout`. */
export const logoutOptions = { everywhere: flag('End every login of the account, on all machines'), ...clientOptions } as const

/** Options of `account create`. */
export const accountCreateOptions = {
  name: optional(TEXT, { describe: 'Your name', aliases: ['n'], defaultText: 'asked for' }),
  ...loginOptions,
  sshkey: optional(TEXT, { describe: 'SSH public key, or the file that has it', aliases: ['s'], defaultText: 'none' }),
  invitation: optional(TEXT, {
    describe: 'Link of an invitation, or the token behind its #; the e-mail address is that of the invitation',
  }),
} as const

/** The type, the protection and the visitors of a socket. */
const protectionOptions = {
  username: optional(MAYBE_EMPTY, {
    describe: 'User name that visitors have to give, with --protected; as a variable SG_VISITOR_USERNAME',
    aliases: ['u'],
    variable: 'SG_VISITOR_USERNAME',
  }),
  password: optional(MAYBE_EMPTY, {
    describe:
      'Password that visitors have to give, with --protected; as a variable SG_VISITOR_PASSWORD, since SG_PASSWORD is that of the login',
    variable: 'SG_VISITOR_PASSWORD',
  }),
  cloudauth: { ...flag('Visitors have to log in, and to be of the addresses, domains or groups below'), aliases: ['c'] },
  'allowed-email-addresses': flattened('With --cloudauth: e-mail addresses that may come, with commas between them', [
    'e',
    'allowed_email_addresses',
  ]),
  'allowed-email-domains': flattened('With --cloudauth: domains of e-mail addresses that may come, with commas between them', [
    'd',
    'allowed_email_domains',
  ]),
  'allowed-groups': flattened(
    'With --cloudauth: groups at the provider that may come, with commas between them; beside addresses or domains, a visitor has to be of both',
    [],
  ),
}

const PROXY_PROTOCOL =
  'Version of the PROXY protocol in which your service is told who comes, with v2 also who has logged in, of type tcp and tls: off, v1 or v2'

const upstreamOptions = {
  'upstream-type': optional(TYPE, {
    describe: 'What your service speaks, where that is not what --type says: http or https',
    aliases: ['upstream_type'],
  }),
  'upstream-http-hostname': optional(MAYBE_EMPTY, {
    describe: 'Host that your service is asked by, instead of the public name; with a port where it wants one',
    aliases: ['upstream_http_hostname'],
  }),
}

const choosableOptions = {
  label: optional(TEXT, { describe: 'First label of the public name, where an admin has given you the right to choose it' }),
  'custom-domain': listOf(TEXT, {
    describe: 'Further host name that leads to the socket, where an admin has given you that right; repeatable',
    fallback: [],
  }),
  balance: optional(choice(['least', 'round-robin', 'address'] as const), {
    describe: 'Which of several tunnels a request takes: least, round-robin, or address (the same for the same visitor)',
    defaultText: 'least',
  }),
  'proxy-protocol': optional(choice(['off', 'v1', 'v2'] as const), {
    describe: PROXY_PROTOCOL,
    defaultText: 'off',
  }),
  ...upstreamOptions,
}

const TYPE_OPTION = withDefault(TYPE, 'http', { describe: 'Socket type: http, https, tcp, tls', aliases: ['t'] })

/** Options of `socket create`. */
export const socketCreateOptions = {
  name: required(MAYBE_EMPTY, { describe: 'Name of the socket, for people', aliases: ['n'] }),
  type: TYPE_OPTION,
  protected: { ...flag('Visitors have to give --username and --password'), aliases: ['p'] },
  ...protectionOptions,
  ...choosableOptions,
  inspect: flag('Record requests for you alone, without what looks like a secret, where the gateway does so'),
  ...clientOptions,
} as const

const SOCKET_ID = optional(TEXT, { describe: 'Id of the socket, its public name, or its name', aliases: ['s', 'socket_id'] })
const TUNNEL_ID = optional(TEXT, { describe: 'Id of the tunnel', aliases: ['t', 'tunnel_id'] })

/** Options of `socket show`, `socket delete`, `tunnel create` and `tunnel ls`. */
export const socketOptions = { 'socket-id': SOCKET_ID, ...clientOptions } as const

/** Options of `socket ls`. */
export const socketLsOptions = {
  name: optional(TEXT, { describe: 'Only sockets of this name', aliases: ['n'] }),
  all: flag('Those of all accounts, for admins and auditors'),
  ...clientOptions,
} as const

const yesOrNo = (what: string): Option<'yes' | 'no' | undefined> =>
  optional(choice(['yes', 'no'] as const), { describe: what, defaultText: 'unchanged' })

/** Options of `socket update`. */
export const socketUpdateOptions = {
  'socket-id': SOCKET_ID,
  name: optional(TEXT, { describe: 'New name', aliases: ['n'] }),
  protected: { ...flag('Visitors have to give --username and --password'), aliases: ['p'] },
  open: flag('Visitors need neither a password nor a login any more'),
  ...protectionOptions,
  'custom-domain': choosableOptions['custom-domain'],
  balance: optional(choice(['least', 'round-robin', 'address'] as const), { describe: 'Which of several tunnels a request takes' }),
  inspect: yesOrNo('Record requests for you alone, without what looks like a secret, where the gateway does so? yes or no'),
  'proxy-protocol': optional(choice(['off', 'v1', 'v2'] as const), { describe: PROXY_PROTOCOL, defaultText: 'unchanged' }),
  ...upstreamOptions,
  ...clientOptions,
} as const

/** Options of `tunnel delete`. */
export const tunnelOptions = { 'socket-id': SOCKET_ID, 'tunnel-id': TUNNEL_ID, ...clientOptions } as const

const originOptions = {
  port: optional(LOCAL_PORT, { describe: 'Port of your service', aliases: ['p'] }),
  host: withDefault(TEXT, '127.0.0.1', { describe: 'Host of your service, as this machine reaches it' }),
  'identity-file': optional(TEXT, {
    describe: 'Has no effect: it was the SSH key of the client of 2021, and this one makes a key for each connection',
    aliases: ['i', 'identity_file'],
  }),
} as const

const liveOptions = {
  quiet: flag('No line for each request'),
  insecure: flag('Allow a ws:// connection to another machine than this one'),
  'drain-timeout': withDefault(duration(1), 30_000, {
    describe: 'Time that requests in flight get to finish at the first Ctrl-C; the second one ends at once',
  }),
} as const

/** Options of `tunnel connect`. */
export const tunnelConnectOptions = {
  'socket-id': SOCKET_ID,
  'tunnel-id': TUNNEL_ID,
  ...originOptions,
  ...liveOptions,
  ...inspectOptions,
  ...clientOptions,
} as const

/** Options of `connect`. */
export const connectOptions = {
  ...originOptions,
  name: optional(MAYBE_EMPTY, { describe: 'Name of the socket, for people', aliases: ['n'], defaultText: 'Local port PORT' }),
  type: TYPE_OPTION,
  protected: flag('Visitors have to give --username and --password'),
  ...protectionOptions,
  ...choosableOptions,
  ...liveOptions,
  ...inspectOptions,
  ...clientOptions,
} as const

/** Options of `logs`. */
export const logsOptions = {
  follow: { ...flag('Go on until Ctrl-C; there is no log of what was before'), aliases: ['f'] },
  ...clientOptions,
  json: flag('One JSON object for each line'),
} as const

/** Options of `inner-layer join` and `join`. */
export const joinOptions = {
  'private-key': withDefault(FILE, 'innerLayer.key', {
    describe: 'File for the private key, which is made on the spot',
    aliases: ['inner-layer-private-key'],
  }),
  output: withDefault(FILE, 'inner-layer.yaml', { describe: 'File for the options of inner-layer (--config)' }),
  identifier: optional(TEXT, { describe: 'Which of the identifiers that the token gives to use', defaultText: 'the first' }),
  ca: optional(FILE, {
    describe: 'File with the certificates of the only authorities to trust, here and for the link',
    defaultText: 'those of Node.js',
  }),
  run: flag('Run the inner layer with these options at once, until it is asked to end'),
  force: flag('Replace existing files'),
  json: flag('Print the answer in JSON'),
} as const

const ACCOUNT_FILTER = optional(TEXT, { describe: 'Only the account with this e-mail address, or this id', aliases: ['e'] })

/** Options of `admin accounts`. */
export const adminAccountsOptions = { email: ACCOUNT_FILTER, ...clientOptions } as const

const limitOption = (what: string): Option<number | undefined> =>
  optional(integer(0, 1_000_000), { describe: what, defaultText: 'unchanged' })

/** Options of `admin limits`. */
export const adminLimitsOptions = {
  http: limitOption('Sockets of type http and https'),
  tcp: limitOption('Sockets of type tcp and tls'),
  tunnels: limitOption('Tunnels of each socket'),
  'log-watchers': limitOption('Watchers of logs at a time'),
  'creations-per-hour': limitOption('Sockets made in an hour'),
  'requests-per-second': limitOption('Requests per second to each socket'),
  concurrency: limitOption('Requests at a time to each socket'),
  'max-connections': limitOption('TCP connections at a time to each socket'),
  'bytes-per-day': optional(size(0), {
    describe: 'Bytes in a day of all sockets together, in both directions; 0: as many as it likes',
    defaultText: 'unchanged',
  }),
  interstitial: yesOrNo('Do browsers see a page of the gateway before their first visit? yes or no'),
  vanity: yesOrNo('May it choose the names of its sockets? yes or no'),
  'custom-domains': yesOrNo('May it serve host names outside of the zone? yes or no'),
  defaults: flag('Back to the limits of the service, but for those that are given here'),
  ...clientOptions,
} as const

/** Options of `admin invite`. */
export const adminInviteOptions = {
  role: withDefault(choice(['user', 'auditor', 'admin'] as const), 'user', { describe: 'Right of the new account: user, auditor, admin' }),
  ...clientOptions,
} as const

/** Options of `admin join-token`. */
export const joinTokenOptions = {
  identifier: listOf(TEXT, { describe: 'Identifier that the inner layer may claim; repeatable', aliases: ['i'] }),
  uses: withDefault(integer(1, 1_000), 1, { describe: 'How many inner layers may join with it' }),
  expires: withDefault(duration(1_000), 600_000, { describe: 'Time until it is of no use' }),
  ...clientOptions,
} as const

/** Options of `audit`. */
export const auditOptions = {
  account: optional(TEXT, { describe: 'Only what this account did, by its id; for admins and auditors' }),
  action: optional(TEXT, { describe: 'Only this action, such as socket.create' }),
  since: optional(duration(1_000, 400 * 86_400_000), { describe: 'Only the last so long, such as 1h or 7d' }),
  limit: withDefault(integer(1, 10_000), 50, { describe: 'How many entries, the latest first', aliases: ['n'] }),
  ...clientOptions,
} as const

/** Options of `version upgrade`. */
export const versionUpgradeOptions = {
  archive: optional(FILE, { describe: 'Archive of a release (.tgz) whose sum is to be checked', defaultText: 'none: says how to upgrade' }),
  sha256: optional(TEXT, { describe: 'SHA-256 that the archive was published with' }),
  ...clientOptions,
} as const

/** Headings of `connect --help`. */
export const connectGroups = {
  'Your service': ['port', 'host', 'type', 'name'],
  'Who may come': ['protected', 'username', 'password', 'cloudauth', 'allowed-email-addresses', 'allowed-email-domains', 'allowed-groups'],
  'The public name': ['label', 'custom-domain', 'balance'],
} as const
