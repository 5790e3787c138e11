/** Longest line, bytes; etcd takes no object of more than 1.5 MiB. */
const MAX_LINE_BYTES = 8 * 1024 * 1024
const LINE_FEED = 10

/**
 * Yields the lines of a stream as they come, the last one also without its end.
 * @param maxBytes  the default suits everything but tests
 * @throws Error for a line that is longer than any object: it would be put together in memory without a bound
 */
export async function* linesOf(input: AsyncIterable<Buffer>, maxBytes = MAX_LINE_BYTES): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of input) {
    let at = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, at)) {
      parts.push(chunk.subarray(at, end))
      yield Buffer.concat(parts).toString('utf8')
      parts = []
      bytes = 0
      at = end + 1
    }
    parts.push(chunk.subarray(at))
    bytes += chunk.length - at
    if (bytes > maxBytes) throw new Error(`a line has more than ${maxBytes} bytes`)
  }
  if (bytes > 0) yield Buffer.concat(parts).toString('utf8')
}
