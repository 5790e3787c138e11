import { DEFAULT_EDGE_LIMITS, type EdgeLimits } from '../../outer/access/client-limits.ts'
import { integer, optional, withDefault, type Reader, type ValuesOf } from '../command/option.ts'

const MS_OR_NEVER = integer(0, 2 ** 31 - 1, 'milliseconds')
const COUNT = integer(0, 1_000_000, 'a number')

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1_024, M: 1_048_576, G: 1_073_741_824 }
/** Bytes, with or without a binary unit. */
const SIZE: Reader<number> = {
  expected: 'a number of bytes such as 1048576, 512K, 10M or 2G',
  read: text => {
    const [, digits = '', unit = ''] = /^(\d{1,15})(?:([KMG])(?:i?B)?)?$/i.exec(text) ?? []
    const bytes = digits === '' ? NaN : Number(digits) * UNITS[unit.toUpperCase()]!
    return Number.isSafeInteger(bytes) ? bytes : undefined
  },
}

/** Requests per second, and how many may come at once. */
const RATE: Reader<{ readonly perSecond: number; readonly burst: number }> = {
  expected: 'N or N:BURST, such as 50 or 50:200',
  read: text => {
    const [, rate = '', burst] = /^(\d{1,6}(?:\.\d{1,3})?)(?::(\d{1,7}))?$/.exec(text) ?? []
    const perSecond = rate === '' ? 0 : Number(rate)
    const atOnce = burst === undefined ? Math.max(1, Math.ceil(2 * perSecond)) : Number(burst)
    return perSecond > 0 && atOnce > 0 ? { perSecond, burst: atOnce } : undefined
  },
}

/** Options of `outer-layer` that bound what clients may cost. */
export const limitOptions = {
  'max-body': optional(SIZE, {
    describe: 'Bytes of a request body, with K, M or G; more: 413. A target may say otherwise (limits.body)',
    defaultText: 'no limit',
  }),
  'max-header-size': withDefault(integer(1_024, 65_536, 'a number of bytes'), DEFAULT_EDGE_LIMITS.headerBytes, {
    describe: 'Bytes of a header section; more: 431',
  }),
  'header-timeout': withDefault(integer(100, 2 ** 31 - 1, 'milliseconds'), DEFAULT_EDGE_LIMITS.headerMs, {
    describe: 'Milliseconds for a header section to arrive; then 408',
  }),
  'connect-timeout': optional(integer(1, 2 ** 31 - 1, 'milliseconds'), {
    describe: 'Milliseconds for an inner layer to connect to an origin; then 504. A target may say otherwise (timeouts.connect)',
    defaultText: '10000',
  }),
  'idle-timeout': withDefault(MS_OR_NEVER, DEFAULT_EDGE_LIMITS.idleMs, {
    describe:
      'Milliseconds that an origin may be silent within its answer; then the answer is cut. 0: for ever. A target may say otherwise (timeouts.idle)',
  }),
  'write-timeout': withDefault(MS_OR_NEVER, DEFAULT_EDGE_LIMITS.writeStallMs, {
    describe: 'Milliseconds that a client may leave an answer unread; then it is cut. 0: for ever',
  }),
  'min-upload-rate': withDefault(COUNT, DEFAULT_EDGE_LIMITS.uploadBytesPerSecond, {
    describe: 'Bytes per second that an upload of known length has to bring in the long run; less: 408. 0: any',
  }),
  'websocket-idle': withDefault(MS_OR_NEVER, DEFAULT_EDGE_LIMITS.websocketIdleMs, {
    describe: 'Milliseconds in which nothing moves on a WebSocket or another upgraded connection; then it is cut. 0: for ever',
  }),
  hold: withDefault(integer(0, 60_000, 'milliseconds'), DEFAULT_EDGE_LIMITS.holdMs, {
    describe: 'Milliseconds that a request waits for an inner layer to come back when none is connected for it; then 502. 0: not at all',
  }),
  rate: optional(RATE, {
    describe:
      'N[:BURST] requests per second of one address (an IPv6 /64), BURST of them at once (2 N unless said); more: 429. A target may have its own (limits.rate)',
    defaultText: 'no limit',
  }),
  'max-requests': withDefault(COUNT, DEFAULT_EDGE_LIMITS.requests, {
    describe: 'Requests under way at a time; more: 503. 0: no limit',
  }),
  'max-connections': withDefault(COUNT, DEFAULT_EDGE_LIMITS.connections, {
    describe: 'Connections of clients at a time; more: 503. 0: no limit',
  }),
  'max-connections-per-address': withDefault(COUNT, DEFAULT_EDGE_LIMITS.connectionsPerAddress, {
    describe: 'Connections of one address at a time, trusted proxies apart; more: 503. 0: no limit',
  }),
} as const

/** The limits that the options name. */
export const edgeLimitsOf = (options: ValuesOf<typeof limitOptions>): EdgeLimits => ({
  headerBytes: options['max-header-size'],
  headerMs: options['header-timeout'],
  bodyBytes: options['max-body'],
  uploadBytesPerSecond: options['min-upload-rate'],
  uploadGraceMs: DEFAULT_EDGE_LIMITS.uploadGraceMs,
  idleMs: options['idle-timeout'],
  connectMs: options['connect-timeout'],
  writeStallMs: options['write-timeout'],
  websocketIdleMs: options['websocket-idle'],
  holdMs: options.hold,
  rate: options.rate,
  requests: options['max-requests'],
  connections: options['max-connections'],
  connectionsPerAddress: options['max-connections-per-address'],
})
