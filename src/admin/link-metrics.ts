import type { MetricSource } from './exposition.ts'

/** The sums over all links of a process, as the room mux counts them. */
export interface LinkNumbers {
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly sentMessages: number
  readonly receivedMessages: number
  readonly streams: number
  readonly creditStalls: number
  readonly flightStalls: number
}

/** The state of one session. */
export interface SessionNumbers {
  /** Of the inner layer, or the URL of the outer layer. */
  readonly peer: string
  readonly streams: number
  readonly outstandingBytes: number
  readonly inFlightBytes: number
  readonly flightLimitBytes: number
  /** 0 until measured. */
  readonly roundTripMs: number
}

const PREFIX = 'socket_gateway_link'

/** Metrics of links, the same at both layers; sessions with the same peer are one line. */
export function linkMetrics(counters: LinkNumbers, sessions: () => Iterable<SessionNumbers>): MetricSource[] {
  const counter = (name: string, help: string, read: () => number): MetricSource => ({
    name: `${PREFIX}_${name}_total`,
    help,
    type: 'counter',
    samples: () => [{ value: read() }],
  })
  const gauge = (name: string, help: string, read: (session: SessionNumbers) => number, join = add): MetricSource => ({
    name: `${PREFIX}_${name}`,
    help,
    type: 'gauge',
    across: join === add ? 'sum' : 'max',
    samples: () => {
      const values = new Map<string, number>()
      for (const session of sessions()) {
        const known = values.get(session.peer)
        values.set(session.peer, known === undefined ? read(session) : join(known, read(session)))
      }
      return Array.from(values, ([peer, value]) => ({ labels: { peer }, value }))
    },
  })
  return [
    gauge('sessions', 'Connections between the layers that are up.', () => 1),
    gauge('streams', 'Streams that are open.', session => session.streams),
    gauge('outstanding_bytes', 'Bytes queued, under way, or received and not consumed.', session => session.outstandingBytes),
    gauge('flight_bytes', 'Bytes sent that the peer has not acknowledged.', session => session.inFlightBytes),
    gauge(
      'flight_limit_bytes',
      'Bytes that may be in flight, by what the link was measured to carry.',
      session => session.flightLimitBytes,
    ),
    gauge(
      'round_trip_seconds',
      'Round trip of the slowest connection, without what queues add to it.',
      session => session.roundTripMs / 1000,
      Math.max,
    ),
    counter('streams', 'Streams opened since the start.', () => counters.streams),
    counter('sent_bytes', 'Bytes handed to links, frame headers included.', () => counters.sentBytes),
    counter('received_bytes', 'Bytes received from links, frame headers included.', () => counters.receivedBytes),
    counter('sent_messages', 'Messages handed to links.', () => counters.sentMessages),
    counter('received_messages', 'Messages received from links.', () => counters.receivedMessages),
    counter(
      'credit_stalls',
      'Times that a stream had no credit for what it has to send: its reader is slower than its writer.',
      () => counters.creditStalls,
    ),
    counter('flight_stalls', 'Times that data waited for the peer to acknowledge what was in flight.', () => counters.flightStalls),
  ]
}

const add = (a: number, b: number): number => a + b
