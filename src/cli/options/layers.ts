import { availableParallelism, hostname } from 'node:os'
import { checkTrustField } from '../../http/believed-fields.ts'
import { isIdentifier } from '../../identity/identifier.ts'
import { parseProxy } from '../../net/http-proxy.ts'
import { parseJoinText } from '../../enrolment/join-text.ts'
import { parseLinkName } from '../../identity/link-name.ts'
import { OUTER_LAYER_DEFAULTS } from '../../outer/options/outer-options.ts'
import { inspectOptions, outerInspectOptions } from './inspect.ts'
import { acmeOptions, HOST_NAME } from '../acme/acme-options.ts'
import { adminOptions } from './admin.ts'
import { clusterOptions } from './cluster.ts'
import { serviceOptions } from '../command/command.ts'
import { limitOptions } from './limits.ts'
import { tlsOptions } from './tls.ts'
import { duration, FILE, flag, integer, listOf, optional, PORT, requiredUnless, TEXT, withDefault, type Reader } from '../command/option.ts'

const IDENTIFIER: Reader<string> = {
  expected: '1 to 255 printable characters',
  read: text => (isIdentifier(text) ? text : undefined),
}

const LINK_NAME: Reader<string> = { expected: 'HOST or HOST:PORT, such as link.example.com', read: parseLinkName }

const TRUST_FIELD: Reader<string> = {
  expected:
    'the name of a field that says who the user is, such as X-Remote-User; not one that the gateway sets, nor one that overrides path, method or host',
  read: text => {
    try {
      checkTrustField(text, 'layer')
      return text
    } catch {
      return undefined
    }
  },
}

const PROXY_URL: Reader<URL> = {
  expected: 'the URL of an HTTP proxy, such as http://proxy.lan:3128 or http://name:password@proxy.lan:3128, spoken to without TLS',
  read: parseProxy,
}

/** Links between them grow with their square. */
const MAX_WORKERS = 256

const SCHEMES: ReadonlySet<string> = new Set(['ws:', 'wss:', 'http:', 'https:'])

const OUTER_LAYER_URL: Reader<string> = {
  expected: 'the URL of an outer layer, such as wss://gateway.example.com or ws://localhost:3001, without user, query and fragment',
  read: text => {
    if (!URL.canParse(text) || !/^[a-z]+:\/\//i.test(text)) return undefined
    const { protocol, hostname: host, username, password, search, hash } = new URL(text)
    const isPlain = username === '' && password === '' && search === '' && hash === '' && host !== ''
    return SCHEMES.has(protocol) && isPlain ? text : undefined
  },
}

const INVITE_URL: Reader<string> = {
  expected: 'a URL such as wss://gateway.example.com:3001',
  read: text => (/^wss:/i.test(text) ? OUTER_LAYER_URL.read(text) : undefined),
}

const TARGET: Reader<readonly [string, string]> = {
  expected: 'HOST=URL, such as api.example.com=http://127.0.0.1:8080',
  read: text => {
    const [, host, url] = /^([^=\s]+)=(https?:\/\/\S+)$/i.exec(text) ?? []
    return host === undefined || url === undefined ? undefined : [host, url]
  },
}

const JOIN: Reader<string> = {
  expected: 'what "outer-layer --invite NAME" prints, whole and in quotes: wss://HOST:PORT#NAME:SECRET:PIN',
  read: text => {
    try {
      parseJoinText(text)
      return text
    } catch {
      return undefined
    }
  },
}

const WORKERS: Reader<number> = {
  expected: 'a number from 1 to 256, or auto',
  read: text => (text === 'auto' ? Math.min(MAX_WORKERS, availableParallelism()) : integer(1, MAX_WORKERS).read(text)),
}

/** Options of `outer-layer`. */
export const outerLayerOptions = {
  'public-key': listOf(TEXT, {
    describe:
      'File with the certificate or public key of an inner layer; repeatable. IDENTIFIER=FILE lets that key claim only that identifier. A directory takes every .crt and .pem in it, each for the common name of its certificate',
    aliases: ['inner-layer-certificate'],
    unless: ['service', 'invite', 'state'],
  }),
  invite: listOf(TEXT, {
    describe:
      'Name of an inner layer that may join: prints what to type on its machine, which counts once, for ten minutes; repeatable. Those that have joined are left as they are',
    fallback: [],
  }),
  'invite-url': optional(INVITE_URL, {
    describe: 'URL of the socket port as inner layers reach it, for --invite',
    defaultText: '--link-name, or an address of this machine',
  }),
  state: optional(FILE, {
    describe: 'Folder for keys of inner layers that were invited, and for a certificate of the socket port, made where none is given',
    defaultText: 'none; with --invite outer-layer-state',
  }),
  targets: requiredUnless(['service', 'target'], FILE, {
    describe: 'Targets file: which host leads to which origin; reloaded when it changes',
  }),
  target: listOf(TARGET, {
    describe: 'Target without a file, HOST=URL such as api.example.com=http://127.0.0.1:8080; repeatable, and instead of --targets',
    fallback: [],
  }),
  service: optional(FILE, {
    describe:
      'File of the service (accounts, sockets, tunnels, SSH), as "service init" writes it; with it, --public-key and --targets may be left out',
    defaultText: 'none',
  }),
  visitors: optional(FILE, {
    describe:
      'File of logins, as "visitors init" writes it: for targets with access, which let nobody in without it; reloaded when it changes',
    defaultText: 'none',
  }),
  events: optional(FILE, {
    describe: 'File that says where events are kept and who is told of them: log, webhooks, mail',
    defaultText: 'none: they are kept in memory, for --admin-port',
  }),
  'app-port': withDefault(PORT, OUTER_LAYER_DEFAULTS.appPort, { describe: 'Port for clients; 0 picks a free one' }),
  'app-host': optional(TEXT, { describe: 'Address to listen on for clients', defaultText: 'all, IPv4 and IPv6' }),
  'socket-port': withDefault(PORT, OUTER_LAYER_DEFAULTS.socketPort, { describe: 'Port for inner layers; 0 picks a free one' }),
  'socket-host': optional(TEXT, { describe: 'Address to listen on for inner layers', defaultText: 'all, IPv4 and IPv6' }),
  timeout: withDefault(duration(1), OUTER_LAYER_DEFAULTS.timeoutMs, { describe: 'Time without a sign of life from the origin, then 504' }),
  validity: withDefault(duration(1), OUTER_LAYER_DEFAULTS.validityMs, {
    describe: "Time that an inner layer's proof of identity is valid",
  }),
  'link-name': listOf(LINK_NAME, {
    describe:
      'HOST[:PORT] under which inner layers dial this outer layer, as in their --outer-layer; repeatable. A proof of identity that was made for another name is refused. Without it names are not checked',
    fallback: [],
  }),
  'trust-proxy': listOf(TEXT, {
    describe:
      'Proxies that are believed: address, CIDR, loopback, linklocal, uniquelocal, or none; repeatable. Their Forwarded and X-Forwarded-* fields say who the client is',
    fallback: OUTER_LAYER_DEFAULTS.trustProxy,
  }),
  'trust-fields': listOf(TRUST_FIELD, {
    describe:
      'Fields that say who the user is, such as X-Remote-User, which a proxy in --trust-proxy sets: they pass from it, and from nobody else; repeatable. Without it none of them pass',
    fallback: [],
  }),
  'proxy-protocol': flag(
    'Connections of clients begin with the PROXY protocol (version 1 or 2), of a proxy in --trust-proxy; others are closed',
  ),
  'error-pages': optional(FILE, {
    describe: 'Folder with error pages for browsers: CODE.html, 502.html, 4xx.html, 5xx.html, error.html; read at the start',
    defaultText: 'ours',
  }),
  'remove-csps': flag('Remove Content-Security-Policy fields from answers'),
  'drain-delay': withDefault(duration(0, 600_000), OUTER_LAYER_DEFAULTS.drainDelayMs, {
    describe: 'Time in which clients are still accepted when the process is asked to end, while /readyz says 503 already',
  }),
  'server-timing': flag('Say in answers where the time went (Server-Timing); clients can read it'),
  workers: withDefault(WORKERS, 1, {
    describe:
      'Processes that serve the same ports, for several cores; auto: one for each core. With their own supervisor, which starts them again',
  }),
  ...limitOptions,
  ...clusterOptions,
  ...tlsOptions,
  ...acmeOptions,
  ...adminOptions(3002),
  ...outerInspectOptions,
  ...serviceOptions,
} as const

const { 'tls-certificate': CERTIFICATE, 'tls-key': KEY, hsts: STRICT_TRANSPORT } = tlsOptions
const { acme: ACME, 'acme-path': ACME_PATH, 'acme-name': _of, ...ACME_REST } = acmeOptions

/** Options of `inner-layer` for names whose TLS it ends itself. */
export const blindOptions = {
  'tls-for': listOf(HOST_NAME, {
    describe:
      'Name whose TLS ends here and not at the outer layer, which has it under "blind" in its targets file; repeatable, wildcards as well. Its requests are served by --targets, at this inner layer',
    fallback: [],
  }),
  targets: optional(FILE, { describe: 'Targets file with the names of --tls-for: origins, policy and all else; reloaded when it changes' }),
  target: listOf(TARGET, { describe: 'The same without a file, HOST=URL; repeatable, and instead of --targets', fallback: [] }),
  visitors: optional(FILE, {
    describe:
      'File of logins, as "visitors init" writes it, for targets with access; its auth host is a name of --tls-for, where people log in',
    defaultText: 'none',
  }),
  'tls-certificate': {
    ...CERTIFICATE,
    describe:
      'File with a certificate of --tls-for and its chain; repeatable, chosen by name (SNI). A directory takes every NAME.crt or NAME.pem with its NAME.key. Reloaded when a file changes',
  },
  'tls-key': KEY,
  hsts: STRICT_TRANSPORT,
  acme: {
    ...ACME,
    describe:
      'Order and renew the certificates of --tls-for by ACME, through the outer layer (tls-alpn-01) or by the DNS, and agree to the terms of the authority; it writes to this address',
  },
  'acme-path': { ...ACME_PATH, defaultText: 'inner-layer-state/acme' },
  ...ACME_REST,
} as const

/** Options of `inner-layer`. */
export const innerLayerOptions = {
  'private-key': requiredUnless('join', FILE, {
    describe:
      'File with the private key that this inner layer proves itself with; readable by its owner only. With --join innerLayer.key, which is made',
    aliases: ['inner-layer-private-key'],
  }),
  'outer-layer': listOf(OUTER_LAYER_URL, { describe: 'URL of an outer layer; repeatable: connects to all of them', unless: 'join' }),
  join: optional(JOIN, {
    describe:
      'What "outer-layer --invite" has printed: makes a key and has it taken, unless it is there already; then --outer-layer and --outer-layer-ca come from it',
  }),
  identifier: optional(IDENTIFIER, {
    describe: 'Name under which targets ask for this inner layer. A key that an outer layer has bound to one name takes that without it',
    defaultText: `host name, here "${hostname()}"`,
    aliases: ['inner-layer-identifier'],
  }),
  'outer-layer-ca': optional(FILE, {
    describe: 'File with the certificates of the only authorities to trust for wss://',
    defaultText: 'those of Node.js and NODE_EXTRA_CA_CERTS',
  }),
  'inner-layer-certificate': optional(FILE, {
    describe: 'File with a client certificate of the private key, for outer layers (--socket-client-ca) or proxies that ask for one',
  }),
  proxy: optional(PROXY_URL, {
    describe:
      'HTTP proxy on the way to every outer layer, by CONNECT; with a name and a password, give it in SG_PROXY or a --config file, since others on the machine can read a command line',
    defaultText: 'HTTPS_PROXY for wss://, HTTP_PROXY for ws://, but for NO_PROXY and this machine',
  }),
  insecure: flag('Allow ws:// and http:// to other machines than this one'),
  connections: withDefault(integer(1, 64), 2, { describe: 'Connections to each outer layer' }),
  nodes: withDefault(integer(1, 16), 2, {
    describe: 'Outer layers of a cluster to be linked to, with others that those of --outer-layer tell of, in different zones',
  }),
  allow: listOf(TEXT, {
    describe:
      'HOST:PORT that may be reached; repeatable. * stands for any letters of one label, alone for any host or port; HOST may be a range such as 10.0.0.0/8. Without it: every host but link-local and cloud-metadata addresses',
    fallback: [],
  }),
  ...blindOptions,
  ...adminOptions('none'),
  ...inspectOptions,
  ...serviceOptions,
} as const
