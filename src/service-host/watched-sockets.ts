import type { DirectoryCopy } from './directory-copy.ts'
import type { ToService } from './ipc.ts'
import { VisitorLines } from './visitor-lines.ts'

/** Sockets whose visitors the service wants to hear of. */
export class WatchedSockets {
  readonly #lines = new Map<string, VisitorLines>()

  /** @param send  to the service process, if it is there */
  constructor(
    private readonly directory: Pick<DirectoryCopy, 'watch'>,
    private readonly send: (message: ToService & { readonly type: 'visitors' }) => void,
  ) {}

  begin(socketId: string): void {
    if (this.#lines.has(socketId)) return
    const lines = new VisitorLines(batch => this.send({ type: 'visitors', socketId, lines: batch }))
    const end = this.directory.watch(socketId, line => lines.add(line))
    if (end === undefined) return
    lines.onClose = end
    this.#lines.set(socketId, lines)
  }

  end(socketId: string): void {
    this.#lines.get(socketId)?.close()
    this.#lines.delete(socketId)
  }

  endAll(): void {
    for (const socketId of [...this.#lines.keys()]) this.end(socketId)
  }
}
