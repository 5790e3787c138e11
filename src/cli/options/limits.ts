import { DEFAULT_EDGE_LIMITS, type EdgeLimits } from '../../outer/access/client-limits.ts'
import { duration, integer, optional, size, withDefault, type Reader, type ValuesOf } from '../command/option.ts'

/** 0 is for ever. */
const OR_NEVER = duration(0)
const COUNT = integer(0, 1_000_000, 'a number')

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
  'max-body': optional(size(0), {
    describe: 'Bytes of a request body; more: 413. A target may say otherwise (limits.body)',
    defaultText: 'no limit',
  }),
  'max-header-size': withDefault(size(1_024, 65_536), DEFAULT_EDGE_LIMITS.headerBytes, {
    describe: 'Bytes of a header section; more: 431',
  }),
  'header-timeout': withDefault(duration(100), DEFAULT_EDGE_LIMITS.headerMs, {
    describe: 'Time for a header section to arrive; then 408',
  }),
  'connect-timeout': optional(duration(1), {
    describe: 'Time for an inner layer to connect to an origin; then 504. A target may say otherwise (timeouts.connect)',
    defaultText: '10s',
  }),
  'idle-timeout': withDefault(OR_NEVER, DEFAULT_EDGE_LIMITS.idleMs, {
    describe:
      'Time that an origin may be silent within its answer; then the answer is cut. 0: for ever. A target may say otherwise (timeouts.idle)',
  }),
  'write-timeout': withDefault(OR_NEVER, DEFAULT_EDGE_LIMITS.writeStallMs, {
    describe: 'Time that a client may leave an answer unread; then it is cut. 0: for ever',
  }),
  'min-upload-rate': withDefault(COUNT, DEFAULT_EDGE_LIMITS.uploadBytesPerSecond, {
    describe: 'Bytes per second that an upload of known length has to bring in the long run; less: 408. 0: any',
  }),
  'websocket-idle': withDefault(OR_NEVER, DEFAULT_EDGE_LIMITS.websocketIdleMs, {
    describe: 'Time in which nothing moves on a WebSocket or another upgraded connection; then it is cut. 0: for ever',
  }),
  hold: optional(duration(0, 60_000), {
    describe:
      'Time that a request waits for an inner layer to come back when none is connected for it; then 502. 0: not at all. Without it only in the first ten seconds after a start and after a loss',
    defaultText: '5s',
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
  lastRequestMs: DEFAULT_EDGE_LIMITS.lastRequestMs,
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
