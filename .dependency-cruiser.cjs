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
  wire: { rooms: ['errors.ts'] },
  http: { rooms: ['errors.ts'], node: ['net', 'http'] }, // eslint.config.js lets only types and a few pure functions through
  route: { rooms: ['errors.ts', 'http'], npm: ['re2js', 'ipaddr.js'], node: ['net'] },
  config: { rooms: ['errors.ts', 'http', 'route', 'identity'], npm: ['js-yaml', 'zod'], node: [...FILES, 'net'] },
  telemetry: {
    rooms: ['errors.ts'],
    npm: ['pino', 'picocolors', '@opentelemetry/api'],
    node: ['fs', 'fs/promises', 'path', 'worker_threads'],
    type: ['stream', 'inspector'],
  },
  admin: { rooms: ['errors.ts', 'version.ts', 'telemetry'], npm: ['express', 'prom-client'], node: ['http', 'net', 'crypto'] },
  identity: { rooms: ['errors.ts'], npm: ['jsonwebtoken', 'node-forge'], node: ['crypto', 'net', ...FILES] },
  tls: { rooms: ['errors.ts', 'identity'], node: ['tls', 'crypto', 'fs', 'fs/promises', 'path'] },
  mux: { rooms: ['errors.ts', 'wire'], node: ['stream'] },
  link: { rooms: ['errors.ts', 'mux', 'tls', 'telemetry'], npm: ['socket.io', 'socket.io-client'], type: ['http', 'https', 'net', 'tls'] },
  splice: { rooms: ['errors.ts', 'mux'], node: ['net', 'stream'] },
  tunnel: { rooms: ['errors.ts', 'tls', 'telemetry'], node: ['net', 'tls', 'http', 'https', 'stream', 'crypto', 'zlib'] },
  sokken: {
    rooms: ['errors.ts', 'route', 'telemetry', 'identity', 'tunnel'],
    node: ['net', 'http', 'https', 'stream', 'fs', 'path'],
  },
  inner: {
    rooms: ['errors.ts', 'version.ts', 'config', 'http', 'route', 'mux', 'splice', 'link', 'identity', 'telemetry', 'admin'],
    npm: ['undici', 'ipaddr.js'],
    node: [...SOCKETS, 'crypto'],
  },
  outer: {
    rooms: [
      'errors.ts',
      'version.ts',
      'wire',
      'http',
      'route',
      'config',
      'telemetry',
      'identity',
      'tls',
      'mux',
      'splice',
      'tunnel',
      'link',
      'admin',
    ],
    npm: ['express', 'ipaddr.js'],
    node: [...SOCKETS, 'crypto'],
  },
  'cli/demo': {
    rooms: ['errors.ts', 'version.ts', 'config', 'route', 'identity', 'outer', 'inner', 'telemetry', 'cli'],
    npm: ['picocolors'],
    node: [...SOCKETS, ...FILES, 'crypto'],
  },
  'cli/doctor': {
    rooms: ['errors.ts', 'version.ts', 'config', 'route', 'identity', 'tls', 'link', 'mux', 'inner', 'telemetry', 'cli'],
    node: [...SOCKETS, 'fs/promises', 'path'],
  },
  cli: {
    rooms: [
      'errors.ts',
      'version.ts',
      'config',
      'route',
      'identity',
      'tls',
      'outer',
      'inner',
      'telemetry',
      'cli/demo',
      'admin',
      'tunnel',
      'sokken',
      'cli/doctor',
    ],
    npm: ['yargs', 'picocolors'],
    node: [...FILES, 'readline', 'readline/promises'],
  },
  'main.ts': { rooms: ['errors.ts', 'version.ts', 'cli', 'telemetry'], node: ['process', 'v8'] },
  // What `import 'socket-gateway'` gives: it re-exports the two composition roots.
  'index.ts': { rooms: ['errors.ts', 'admin', 'config', 'route', 'identity', 'tls', 'outer', 'inner', 'telemetry', 'link'] },
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
