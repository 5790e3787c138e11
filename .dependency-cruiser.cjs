/**
 * The room table of ARCHITECTURE.md, held against the code: which room may import which room, which npm package and which module of
 * Node. Everything that is not named here is refused, and so is a folder under src/ that has no row. `type` entries may be imported as
 * types only.
 */

/** Modules of Node that compute and touch nothing outside; every room may use them. */
const PLAIN = ['buffer', 'events', 'util', 'url', 'timers', 'timers/promises', 'assert', 'string_decoder', 'perf_hooks']
const SOCKETS = ['net', 'tls', 'http', 'https', 'http2', 'dns', 'dns/promises', 'stream', 'stream/promises']
const FILES = ['fs', 'fs/promises', 'path', 'os']

/** The rows: a room's path under src/ → what its files may import. Within a room, imports are free (but never in a circle). */
const ROOMS = {
  'errors.ts': {},
  'version.ts': { node: ['fs'] }, // reads package.json, once
  address: { rooms: ['errors.ts'], npm: ['ipaddr.js'], node: ['net'] }, // eslint.config.js lets only pure functions of node:net through
  units: {},
  files: { rooms: ['errors.ts'], node: ['fs/promises', 'path'] },
  rates: {},
  pages: { node: ['crypto'] },
  wire: { rooms: ['errors.ts'] },
  http: { rooms: ['errors.ts', 'address'], node: ['net', 'http'] }, // as above
  http1: { rooms: ['errors.ts', 'http'] },
  http2: { rooms: ['errors.ts', 'http'], node: ['http'] }, // as above
  payload: { rooms: ['errors.ts', 'http'] },
  route: { rooms: ['errors.ts', 'address', 'http', 'payload'], npm: ['re2js'], node: ['net'] },
  directory: { rooms: ['errors.ts', 'address', 'payload', 'route', 'identity'] },
  'service/names': {},
  'service/input': { rooms: ['errors.ts'] },
  'service/ssh-keys': { rooms: ['service/input'], node: ['crypto'] },
  'service/proofs': { rooms: ['errors.ts', 'identity', 'service/input'], npm: ['jsonwebtoken', '@node-rs/argon2'], node: ['crypto'] },
  mail: { rooms: ['errors.ts'], npm: ['nodemailer'], node: ['crypto', 'fs/promises', 'path'] },
  'store/sqlite': { rooms: ['errors.ts'], npm: ['kysely', 'libsql'] },
  store: { rooms: ['errors.ts', 'store/sqlite'], npm: ['kysely', 'pg'], node: ['net', 'fs/promises', 'path'] },
  'service-host': { rooms: ['errors.ts', 'directory', 'payload', 'telemetry'], node: ['child_process', 'fs/promises', 'path'] },
  service: { rooms: ['errors.ts', 'directory'] },
  'service/core': {
    rooms: [
      'errors.ts',
      'address',
      'directory',
      'rates',
      'store',
      'telemetry',
      'service',
      'service/input',
      'service/names',
      'service/proofs',
      'service/ssh-keys',
    ],
    npm: ['kysely', 'zod'],
    node: ['crypto'],
  },
  'service/accounts': {
    rooms: ['errors.ts', 'store', 'service', 'service/core', 'service/input', 'service/proofs', 'service/ssh-keys'],
    npm: ['kysely'],
    node: ['crypto'],
  },
  'service/sockets': {
    rooms: [
      'errors.ts',
      'address',
      'directory',
      'identity',
      'rates',
      'store',
      'service',
      'service/core',
      'service/input',
      'service/names',
      'service/proofs',
      'service/ssh-keys',
    ],
    npm: ['kysely'],
    node: ['crypto'],
  },
  'service/rules': {
    rooms: [
      'errors.ts',
      'identity',
      'store',
      'telemetry',
      'service',
      'service/core',
      'service/input',
      'service/names',
      'service/proofs',
      'service/accounts',
      'service/sockets',
    ],
    node: ['crypto'],
  },
  'config/document': { rooms: ['errors.ts'], npm: ['js-yaml', 'zod'] },
  'config/keys': { rooms: ['errors.ts', 'units', 'address', 'http', 'route', 'identity'], npm: ['zod'] },
  config: {
    rooms: ['errors.ts', 'files', 'units', 'address', 'http', 'payload', 'route', 'identity', 'config/document', 'config/keys'],
    npm: ['zod'],
    node: [...FILES, 'net'],
  },
  'config/service': {
    rooms: ['errors.ts', 'files', 'address', 'service', 'config/document', 'config/keys'],
    npm: ['zod'],
    node: ['crypto', 'fs/promises', 'path', 'os'],
  },
  telemetry: {
    rooms: ['errors.ts', 'files', 'address'],
    npm: ['pino', 'picocolors', '@opentelemetry/api'],
    node: ['fs', 'fs/promises', 'path', 'worker_threads'],
    type: ['stream', 'inspector'],
  },
  admin: {
    rooms: ['errors.ts', 'version.ts', 'address', 'net', 'telemetry'],
    npm: ['express', 'prom-client'],
    node: ['http', 'net', 'crypto', 'fs'],
  },
  // What browsers run: it imports nothing.
  'admin/console': { rooms: [] },
  identity: { rooms: ['errors.ts', 'files'], npm: ['jsonwebtoken', 'node-forge'], node: ['crypto', 'net', ...FILES] },
  tls: { rooms: ['errors.ts', 'files', 'identity'], node: ['tls', 'crypto', 'fs', 'fs/promises', 'path'] },
  net: { rooms: ['errors.ts', 'address'], node: SOCKETS },
  mux: { rooms: ['errors.ts', 'rates', 'wire'], node: ['stream'] },
  link: {
    rooms: ['errors.ts', 'address', 'rates', 'net', 'mux', 'tls'],
    npm: ['socket.io', 'socket.io-client'],
    node: ['net', 'tls'],
    type: ['http', 'https'],
  },
  api: {
    rooms: ['errors.ts', 'version.ts', 'address', 'net', 'service', 'service/input', 'telemetry'],
    npm: ['express', 'zod'],
    node: ['net', 'crypto', 'fs/promises', 'path'],
  },
  client: {
    rooms: ['errors.ts', 'version.ts', 'address', 'net', 'tls'],
    node: ['http', 'https', 'net', 'tls', 'crypto', 'fs/promises', 'path'],
  },
  splice: { rooms: ['errors.ts', 'net', 'mux'], node: ['net', 'stream'] },
  tunnel: { rooms: ['errors.ts', 'address', 'net', 'tls', 'telemetry'], node: ['net', 'tls', 'http', 'https', 'stream', 'crypto', 'zlib'] },
  sokken: {
    rooms: ['errors.ts', 'files', 'address', 'telemetry', 'identity', 'tunnel'],
    node: ['net', 'http', 'https', 'stream', 'fs', 'path'],
  },
  origin: {
    rooms: ['errors.ts', 'address', 'http', 'http1', 'http2', 'payload', 'net', 'mux', 'splice', 'telemetry'],
    npm: ['ipaddr.js'],
    node: [...SOCKETS, 'crypto'],
  },
  inner: {
    rooms: ['errors.ts', 'address', 'version.ts', 'http', 'payload', 'net', 'mux', 'link', 'identity', 'origin', 'telemetry', 'admin'],
    node: ['crypto'],
  },
  platform: {
    rooms: [
      'errors.ts',
      'payload',
      'identity',
      'origin',
      'inner',
      'telemetry',
      'directory',
      'store',
      'mail',
      'service',
      'service/rules',
      'api',
      'ssh',
      'service-host',
    ],
    node: ['http', 'stream', 'crypto'],
  },
  'ssh/keys': { rooms: ['errors.ts'], node: ['crypto'] },
  ssh: {
    rooms: [
      'errors.ts',
      'version.ts',
      'address',
      'http',
      'payload',
      'net',
      'mux',
      'link',
      'identity',
      'origin',
      'inner',
      'service',
      'telemetry',
      'ssh/keys',
    ],
    npm: ['ssh2'],
    node: ['net', 'stream', 'crypto'],
  },
  'outer/access': { rooms: ['errors.ts', 'address', 'http', 'net', 'route', 'identity', 'rates'], node: ['crypto'] },
  'outer/inner-layers': {
    rooms: [
      'errors.ts',
      'version.ts',
      'address',
      'http',
      'payload',
      'rates',
      'net',
      'route',
      'identity',
      'mux',
      'link',
      'tls',
      'telemetry',
      'admin',
    ],
    npm: ['express'],
    node: ['http', 'https', 'net', 'tls', 'stream', 'crypto'],
  },
  'outer/ports': { rooms: ['errors.ts', 'address', 'http', 'net', 'tls', 'telemetry', 'outer/access'], node: ['net', 'tls'] },
  'outer/exchange': {
    rooms: ['errors.ts', 'address', 'http', 'payload', 'net', 'route', 'mux', 'splice', 'telemetry', 'outer/access', 'outer/inner-layers'],
    node: ['http', 'stream'],
  },
  'outer/http-edge': {
    rooms: ['errors.ts', 'address', 'http', 'http2', 'net', 'route', 'telemetry', 'outer/access', 'outer/exchange', 'outer/ports'],
    node: ['http', 'http2', 'net', 'stream', 'crypto'],
  },
  'outer/tcp-edge': {
    rooms: ['errors.ts', 'address', 'http', 'payload', 'net', 'route', 'mux', 'splice', 'tls', 'telemetry', 'outer/inner-layers'],
    node: ['net', 'tls'],
  },
  'outer/tunnel-edge': {
    rooms: [
      'errors.ts',
      'address',
      'http',
      'payload',
      'rates',
      'net',
      'route',
      'identity',
      'mux',
      'splice',
      'tunnel',
      'telemetry',
      'outer/access',
      'outer/inner-layers',
    ],
    node: ['http', 'stream'],
  },
  outer: {
    rooms: [
      'errors.ts',
      'version.ts',
      'http',
      'rates',
      'payload',
      'net',
      'route',
      'telemetry',
      'identity',
      'tls',
      'mux',
      'admin',
      'outer/access',
      'outer/exchange',
      'outer/http-edge',
      'outer/inner-layers',
      'outer/ports',
      'outer/tcp-edge',
      'outer/tunnel-edge',
    ],
    node: ['crypto'],
  },
  'cli/command': {
    rooms: ['errors.ts', 'units', 'admin', 'route', 'config', 'config/document', 'telemetry'],
    node: ['fs/promises', 'path'],
  },
  'cli/options': {
    rooms: [
      'errors.ts',
      'address',
      'units',
      'http',
      'admin',
      'identity',
      'net',
      'tls',
      'telemetry',
      'outer/access',
      'outer',
      'cli/command',
    ],
    node: ['fs/promises', 'os'],
  },
  'cli/tables': { rooms: ['telemetry', 'client'], npm: ['cli-table3'] },
  'cli/connect': {
    rooms: [
      'errors.ts',
      'address',
      'payload',
      'identity',
      'net',
      'origin',
      'inner',
      'client',
      'telemetry',
      'cli/command',
      'cli/options',
      'cli/tables',
      'cli/client',
    ],
    node: ['net', 'crypto'],
  },
  'cli/service': {
    rooms: [
      'errors.ts',
      'config/service',
      'service',
      'service/accounts',
      'store',
      'client',
      'cli/command',
      'cli/options',
      'cli/run',
      'cli/connect',
      'cli/demo',
    ],
    node: [...SOCKETS, ...FILES, 'crypto'],
  },
  'cli/client': {
    rooms: ['errors.ts', 'version.ts', 'identity', 'client', 'telemetry', 'cli/command', 'cli/options', 'cli/tables'],
    node: ['crypto', ...FILES],
  },
  'cli/demo': {
    rooms: ['errors.ts', 'config', 'route', 'identity', 'origin', 'outer', 'inner', 'telemetry', 'cli/command'],
    npm: ['picocolors'],
    node: [...SOCKETS, ...FILES, 'crypto'],
  },
  'cli/doctor': {
    rooms: [
      'errors.ts',
      'address',
      'version.ts',
      'config',
      'route',
      'identity',
      'net',
      'tls',
      'link',
      'mux',
      'origin',
      'telemetry',
      'cli/command',
      'cli/options',
    ],
    node: [...SOCKETS, 'fs/promises', 'path', 'os'],
  },
  'cli/run': {
    rooms: [
      'errors.ts',
      'version.ts',
      'address',
      'config',
      'config/document',
      'config/service',
      'directory',
      'service',
      'service-host',
      'platform',
      'route',
      'identity',
      'net',
      'tls',
      'outer',
      'inner',
      'origin',
      'telemetry',
      'admin',
      'tunnel',
      'sokken',
      'cli/command',
      'cli/options',
    ],
    npm: ['picocolors'],
    node: [...FILES, 'crypto', 'readline', 'readline/promises'],
  },
  cli: {
    rooms: [
      'errors.ts',
      'version.ts',
      'client',
      'config',
      'config/document',
      'cli/command',
      'cli/options',
      'cli/run',
      'cli/demo',
      'cli/doctor',
      'cli/client',
      'cli/connect',
      'cli/service',
    ],
    npm: ['yargs'],
    node: [],
  },
  'main.ts': { rooms: ['cli', 'cli/command', 'telemetry'], node: ['tty', 'v8', 'fs'] },
  // What `import 'socket-gateway'` gives: it re-exports the two composition roots.
  'index.ts': {
    rooms: [
      'errors.ts',
      'admin',
      'config',
      'config/document',
      'directory',
      'route',
      'identity',
      'tls',
      'outer',
      'inner',
      'origin',
      'telemetry',
    ],
  },
}

const escape = text => text.replace(/[.+]/g, '\\$&')
const names = list => list.map(escape).join('|')
const isFile = room => room.endsWith('.ts')

/** A regular expression for the files of the room, without those of a room inside it. */
const pathOf = room => {
  if (isFile(room)) return `^src/${escape(room)}$`
  const inside = Object.keys(ROOMS).filter(other => other.startsWith(`${room}/`))
  const exceptions = inside.map(other => `(?!${other.slice(room.length + 1)}/)`).join('')
  return `^src/${room}/${exceptions}`
}

const rulesOf = ([room, { rooms = [], npm = [], node = [], type = [] }]) => [
  {
    name: `${room}-rooms`,
    comment: `src/${room} may import only: ${['itself', ...rooms].join(', ')}`,
    severity: 'error',
    from: { path: pathOf(room) },
    to: { path: '^src/', pathNot: [pathOf(room), ...rooms.map(pathOf)] },
  },
  {
    name: `${room}-npm`,
    comment: `src/${room} may use only these packages: ${npm.join(', ') || 'none'}`,
    severity: 'error',
    from: { path: pathOf(room) },
    to: { path: 'node_modules/', ...(npm.length > 0 ? { pathNot: `node_modules/(@types/)?(${names(npm)})/` } : {}) },
  },
  {
    name: `${room}-node`,
    comment: `src/${room} may use only these modules of Node: ${[...PLAIN, ...node].join(', ')}`,
    severity: 'error',
    from: { path: pathOf(room) },
    to: { dependencyTypes: ['core'], pathNot: `^(node:)?(${names([...PLAIN, ...node, ...type])})$` },
  },
  ...(type.length > 0
    ? [
        {
          name: `${room}-types-only`,
          comment: `src/${room} may use these modules of Node for their types only: ${type.join(', ')}`,
          severity: 'error',
          from: { path: pathOf(room) },
          to: { path: `^(node:)?(${names(type)})$`, dependencyTypes: ['core'], dependencyTypesNot: ['type-only'] },
        },
      ]
    : []),
]

const KNOWN = Object.keys(ROOMS).map(pathOf)

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: { path: '^src/' }, to: { circular: true } },
    { name: 'not-resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'only-declared-packages',
      comment: 'what the product imports stands in dependencies or optionalDependencies, never in devDependencies alone',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'room-without-a-row',
      comment: 'a new folder under src/ needs a row in this table and in ARCHITECTURE.md',
      severity: 'error',
      from: { path: '^src/', pathNot: KNOWN },
      to: {},
    },
    {
      name: 'lone-file-without-a-row',
      comment: 'the same for a file that imports nothing and that nothing imports',
      severity: 'error',
      from: { path: '^src/', pathNot: KNOWN, orphan: true },
      to: {},
    },
    ...Object.entries(ROOMS).flatMap(rulesOf),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true, // type imports are imports: a room that knows another's types knows the room
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
}
