import type { ServerResponse } from 'node:http'
import { attempt, guarded } from '../../net/guard.ts'

/** Bytes that a node has not read yet; what comes meanwhile is left out. */
const MAX_UNREAD_BYTES = 1_048_576

/**
 * Answers another node with lines, for as long as it reads.
 * @param begin  begins to send, each value as a line of JSON; `send` says whether it was sent, since nobody waits for who does not read. Gives what ends it;
 *               undefined: there is nothing to tell of
 * @returns true, for whoever asks answerers in turn
 */
export function answerLines(
  response: ServerResponse,
  onFault: (thrown: unknown) => void,
  begin: (send: (value: unknown) => boolean) => (() => void) | undefined,
): true {
  const send = (value: unknown): boolean => {
    if (response.destroyed || response.writableLength > MAX_UNREAD_BYTES) return false
    response.write(`${JSON.stringify(value)}\n`)
    return true
  }
  const fail = (thrown: unknown): void => {
    onFault(thrown)
    response.destroy()
  }
  attempt(fail, () => {
    response.setHeader('content-type', 'application/x-ndjson')
    const end = begin(send)
    if (end === undefined) return void response.writeHead(404).end()
    response.on('close', guarded(onFault, end))
    response.flushHeaders()
  })
  return true
}
