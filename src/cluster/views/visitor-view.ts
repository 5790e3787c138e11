import { attempt } from '../../net/guard.ts'
import { parseLogNote, type LogLine } from '../../payload/log-note.ts'
import type { PeerCalls } from '../../peers/peer-calls.ts'
import { VisitorLines } from '../../service-host/visitor-lines.ts'
import { answerLines } from './lines.ts'

/** Visitors of sockets, as far as it matters here. */
export interface WatchedSockets {
  /** Tells who comes in at this node. @returns ends it; undefined for a socket that is not there */
  watchHere(socketId: string, watcher: (line: LogLine) => void): (() => void) | undefined
  /** Has those who watch a socket see what `watch` tells as well. */
  watchElsewhere(watch: (socketId: string, tell: (line: LogLine) => void) => () => void): void
}

const PATH = /^\/sockets\/([\w-]{1,64})\/visitors$/

/** Has those who watch a socket at one node see who comes in at the others. */
export function shareVisitors(calls: PeerCalls, sockets: WatchedSockets, onFault: (thrown: unknown) => void): void {
  calls.serve((request, response) => {
    const [, socketId] = PATH.exec(request.url ?? '') ?? []
    if (socketId === undefined) return false
    let omitted = 0
    const tellOmitted = (send: (value: unknown) => boolean): void => {
      if (omitted > 0 && send({ kind: 'omitted', at: Date.now(), count: omitted })) omitted = 0
    }
    const watch = (send: (value: unknown) => boolean): (() => void) | undefined => {
      const add = (line: LogLine): void => {
        if (!send(line)) omitted++
      }
      const flush = (batch: readonly LogLine[]): void => {
        tellOmitted(send)
        batch.forEach(add)
      }
      const lines = new VisitorLines(batch => attempt(onFault, () => flush(batch)))
      const leave = sockets.watchHere(socketId, line => lines.add(line))
      if (leave === undefined) return undefined
      lines.onClose = leave
      return () => lines.close()
    }
    return answerLines(response, onFault, watch, tellOmitted)
  })
  sockets.watchElsewhere((socketId, tell) => {
    const missing = new Set<string>()
    return calls.follow(
      { path: `/sockets/${socketId}/visitors` },
      {
        line: (_peer, line) => parseLogNote({ lines: [line] }).forEach(tell),
        turn: ({ id }, isThere) => {
          if (isThere) missing.delete(id)
          else missing.add(id)
          tell({ kind: 'missing', at: Date.now(), count: missing.size })
        },
      },
    )
  })
}
