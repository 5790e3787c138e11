import type { ServerResponse } from 'node:http'
import { attempt, guarded } from '../../net/guard.ts'

/** Bytes that a node has not read yet; what comes meanwhile is left out. */
const MAX_UNREAD_BYTES = 1_048_576

/**
 * Answers another node with lines, for as long as it reads.
 * @param begin  begins to send, each value as a line of JSON; `send` says whether it was sent, since nobody waits for who does not read. Gives what ends it;
 *               undefined: there is nothing to tell of
 * @param resume  called when lines were left out and all before them has been read
 * @returns true, for whoever asks answerers in turn
 */
export function answerLines(
  response: ServerResponse,
  onFault: (thrown: unknown) => void,
  begin: (send: (value: unknown) => boolean) => (() => void) | undefined,
  resume: (send: (value: unknown) => boolean) => void = () => undefined,
): true {
  let isBehind = false
  const send = (value: unknown): boolean => {
    if (response.destroyed) return false
    if (response.writableLength > MAX_UNREAD_BYTES) {
      isBehind = true
      return false
    }
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
    const drained = (): void => {
      if (!isBehind) return
      isBehind = false
      resume(send)
    }
    response.on('drain', guarded(fail, drained))
    response.flushHeaders()
  })
  return true
}
