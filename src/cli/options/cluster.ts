import { GatewayError } from '../../errors.ts'
import { FILE, flag, listOf, optional, PORT, TEXT, withDefault, type Reader, type ValuesOf } from '../command/option.ts'

const NODE_URL: Reader<string> = {
  expected: 'a URL such as wss://10.0.0.5:3005, without a path',
  read: text => {
    if (!/^wss?:\/\//i.test(text) || !URL.canParse(text)) return undefined
    const { pathname, search, hash, username, hostname } = new URL(text)
    return pathname === '/' && search === '' && hash === '' && username === '' && hostname !== '' ? text : undefined
  },
}

const CLUSTER_NAME: Reader<string> = {
  expected: '1 to 64 letters, digits, dots, dashes and underscores',
  read: text => (/^[\w.-]{1,64}$/.test(text) ? text : undefined),
}

const SHORT_TEXT: Reader<string> = {
  expected: '1 to 64 printable characters',
  read: text => (/^[\x20-\x7e]{1,64}$/.test(text) ? text : undefined),
}

/** Options of `outer-layer` for several of them. */
export const clusterOptions = {
  cluster: optional(TEXT, {
    describe:
      'Redis (or Valkey) by which outer layers find each other, redis://HOST:PORT; then each of them serves what any of them is connected to. With a password, give it in SG_CLUSTER or a --config file, since others on the machine can read a command line',
    defaultText: 'none: this process is alone',
  }),
  'cluster-name': withDefault(CLUSTER_NAME, 'socket-gateway', { describe: 'Nodes with the same name in the same Redis are one cluster' }),
  'node-url': optional(NODE_URL, {
    describe: 'URL at which other nodes reach this one; wss:// takes the certificate of --socket-tls-certificate',
    defaultText: 'ws:// at this machine alone',
  }),
  'node-port': optional(PORT, { describe: 'Port for other nodes; 0 picks a free one', defaultText: 'that of --node-url, or a free one' }),
  'node-host': optional(TEXT, { describe: 'Address to listen on for other nodes', defaultText: 'all with --node-url, else 127.0.0.1' }),
  'node-key': optional(FILE, {
    describe: 'File with the private key of the cluster, the same on all nodes ("certificates" makes one): who has it is a node',
    defaultText: 'none; needed with --cluster',
  }),
  'node-public-key': listOf(TEXT, {
    describe: 'File with the certificate or public key of another node, where nodes have keys of their own; repeatable',
    fallback: [],
  }),
  'node-ca': optional(FILE, {
    describe: 'File with the certificates of the only authorities to trust in wss:// to other nodes',
    defaultText: 'those of Node.js and NODE_EXTRA_CA_CERTS',
  }),
  'node-name': optional(SHORT_TEXT, { describe: 'Name of this node, for operators', defaultText: 'the host name' }),
  'node-insecure': flag('Allow ws:// between nodes on different machines'),
  zone: optional(SHORT_TEXT, { describe: 'Zone of this node: inner layers keep links to nodes in different ones', defaultText: 'none' }),
  advertise: optional(NODE_URL, {
    describe: 'URL of the socket port of this node, which inner layers that are connected to another one are told of',
    defaultText: 'none: they are told of nothing',
  }),
} as const

const NEED_CLUSTER = ['node-key', 'node-url', 'node-public-key', 'advertise'] as const

/** Refuses what only a node has use for. @throws GatewayError USAGE */
export function checkClusterOptions(values: Pick<ValuesOf<typeof clusterOptions>, 'cluster' | (typeof NEED_CLUSTER)[number]>): void {
  const given = NEED_CLUSTER.filter(name => values[name] !== undefined && values[name].length > 0)
  if (values.cluster !== undefined || given.length === 0) return
  const [names, verb] = [given.map(name => `--${name}`).join(', '), given.length === 1 ? 'is' : 'are']
  throw new GatewayError('USAGE', `${names} ${verb} for --cluster, which is not given: this outer layer would be alone`)
}
