import type { NodeFacts, Presence, PresenceListener, ServedProcess } from '../cluster/presence.ts'
import type { PresenceNews, PresenceReport } from './messages.ts'

/** The presence of a worker: whatever it says goes to the board of the primary, from which all others hear it. */
export class BoardPresence implements Presence {
  /** The channel is there for as long as the process. */
  readonly fault = undefined
  #listener: PresenceListener | undefined
  #isClosed = false

  /** @param tell  sends to the primary @param nowMs  milliseconds since 1970, which all processes of a machine share */
  constructor(
    private readonly tell: (report: PresenceReport) => void,
    private readonly nowMs: () => number,
  ) {}

  now(): number {
    return this.nowMs()
  }

  start(facts: NodeFacts, listener: PresenceListener): void {
    this.#listener = listener
    this.tell({ type: 'facts', facts })
  }

  change(facts: NodeFacts): void {
    if (!this.#isClosed) this.tell({ type: 'facts', facts })
  }

  serve(process: ServedProcess): void {
    this.tell({ type: 'serve', process })
  }

  unserve(number: number): void {
    if (!this.#isClosed) this.tell({ type: 'unserve', number })
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.tell({ type: 'leave' })
    this.#isClosed = true
    return Promise.resolve()
  }

  /** The primary has said this of another worker. */
  hear(news: PresenceNews): void {
    const listener = this.#listener
    if (listener === undefined || this.#isClosed) return
    switch (news.type) {
      case 'node':
        return listener.node(news.facts)
      case 'node-gone':
        return listener.nodeGone(news.id)
      case 'served':
        return listener.served(news.id, news.processes)
      case 'unserved':
        return listener.unserved(news.id, news.numbers)
    }
  }
}
