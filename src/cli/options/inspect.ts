/** Options of the inspector. */
import { parseHostPort, type HostPort } from '../../address/host-port.ts'
import { FILE, flag, integer, listOf, optional, size, TEXT, withDefault, type Reader } from '../command/option.ts'

const HOST = '127.0.0.1'
/** The port where nothing is said. */
const INSPECTOR_PORT = 4040
const ON: ReadonlySet<string> = new Set(['', 'true', 'yes', 'on'])

/** Where it listens; left out: at the usual port of this machine. */
const PLACE: Reader<HostPort> = {
  expected: 'HOST:PORT, or a port',
  read: text => {
    if (ON.has(text.toLowerCase())) return { host: HOST, port: INSPECTOR_PORT }
    const place = /^\d{1,5}$/.test(text) ? { host: HOST, port: Number(text) } : parseHostPort(text)
    return place !== undefined && place.port <= 65_535 ? place : undefined
  },
}

const keepingOptions = {
  'inspect-memory': withDefault(size(1_048_576, 4_294_967_296), 67_108_864, {
    describe: 'Memory for what is inspected; what is oldest goes first',
  }),
  'inspect-body': withDefault(size(0, 67_108_864), 1_048_576, { describe: 'Most that is kept of one body' }),
  'inspect-redact': listOf(TEXT, {
    describe:
      'Name of a field, parameter or key whose value is never kept, * for any part; repeatable. Passwords, tokens, cookies and the like are among them in any case',
    fallback: [],
  }),
  'inspect-show': listOf(TEXT, { describe: 'Name that is kept though it looks like that of a secret; repeatable', fallback: [] }),
  'inspect-store': optional(FILE, {
    describe: 'Folder in which what is inspected is kept over a restart, encrypted; its key is made there, for its owner only',
    defaultText: 'memory alone',
  }),
  'inspect-hours': withDefault(integer(1, 8_760), 24, { describe: 'How long it is kept there' }),
  'inspect-bytes': flag('Keep the bytes of TCP connections as well, which nobody can redact'),
} as const

/** Options of an inspector that has a port of its own. */
export const inspectOptions = {
  inspect: {
    ...optional(PLACE, {
      describe: `Show requests and answers at a page of this machine, by default http://${HOST}:${INSPECTOR_PORT}`,
      defaultText: 'off',
    }),
    mayBeEmpty: true,
  },
  ...keepingOptions,
} as const

/** Options of the inspector of the outer layer, at its admin port. */
export const outerInspectOptions = {
  inspect: flag(
    'Show requests of targets that say "inspect: true", at the admin port, and record those of sockets with --inspect for their owners',
  ),
  ...keepingOptions,
} as const
