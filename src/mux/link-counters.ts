/**
 * Counters of all sessions of a process together since its start, for metrics: plain numbers, so that counting costs nothing that could be
 * measured. They are read when metrics are asked for.
 */
export class LinkCounters {
  /** Bytes handed to links, frame headers included. */
  sentBytes = 0
  receivedBytes = 0
  sentMessages = 0
  receivedMessages = 0
  /** Streams opened by either side. */
  streams = 0
  /** The number of times that a stream had no credit for what it has to send: its reader is slower than its writer. */
  creditStalls = 0
  /** The number of times that a session had data to send and as much in flight as the link delivers in a round trip. */
  flightStalls = 0

  /** @param onMoved  told of bytes that have come or gone by way of buffers, and whether many streams of a session were open */
  constructor(readonly onMoved: (bytes: number, isMany: boolean) => void = () => undefined) {}
}
