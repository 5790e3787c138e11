import type { NodeFacts, ServedProcess } from '../cluster/presence.ts'
import type { PresenceNews, PresenceReport } from './messages.ts'

/** Which inner layers are connected to which worker: kept in the primary, which tells each of them of all others. */
export class PresenceBoard<Worker> {
  readonly #known = new Map<Worker, { facts: NodeFacts; readonly processes: Map<number, ServedProcess> }>()

  /** @param tell  sends to one worker */
  constructor(private readonly tell: (to: Worker, news: PresenceNews) => void) {}

  /** A worker has said this of itself. */
  take(from: Worker, report: PresenceReport): void {
    const known = this.#known.get(from)
    if (report.type === 'facts') return known === undefined ? this.#came(from, report.facts) : this.#changed(from, report.facts)
    if (known === undefined) return
    const { id } = known.facts
    switch (report.type) {
      case 'serve':
        known.processes.set(report.process.number, report.process)
        return this.#tellOthers(from, { type: 'served', id, processes: [report.process] })
      case 'unserve':
        known.processes.delete(report.number)
        return this.#tellOthers(from, { type: 'unserved', id, numbers: [report.number] })
      case 'leave':
        return this.gone(from)
    }
  }

  /** A worker has ended, or is about to: nobody sends it anything new. */
  gone(worker: Worker): void {
    const known = this.#known.get(worker)
    if (!this.#known.delete(worker) || known === undefined) return
    this.#tellOthers(worker, { type: 'node-gone', id: known.facts.id })
  }

  #came(worker: Worker, facts: NodeFacts): void {
    for (const { facts: other, processes } of this.#known.values()) {
      this.tell(worker, { type: 'node', facts: other })
      if (processes.size > 0) this.tell(worker, { type: 'served', id: other.id, processes: [...processes.values()] })
    }
    this.#known.set(worker, { facts, processes: new Map() })
    this.#tellOthers(worker, { type: 'node', facts })
  }

  #changed(worker: Worker, facts: NodeFacts): void {
    this.#known.get(worker)!.facts = facts
    this.#tellOthers(worker, { type: 'node', facts })
  }

  #tellOthers(from: Worker, news: PresenceNews): void {
    for (const worker of this.#known.keys()) if (worker !== from) this.tell(worker, news)
  }
}
