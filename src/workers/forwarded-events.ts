import type { EventName, StateName } from '../events/catalogue.ts'
import type { EventNote } from '../events/event.ts'
import { Events, type EventsOptions } from '../events/events.ts'
import type { EventReport } from './messages.ts'

/** The events of a worker: told where those of all workers are, so that what several of them see is one thing. */
export class ForwardedEvents extends Events {
  #isMute = false

  /** @param report  sends to the primary */
  constructor(
    options: EventsOptions,
    private readonly report: (event: EventReport) => void,
  ) {
    super(options)
  }

  override tell(name: EventName, note: EventNote): void {
    this.#say({ type: 'tell', name, note })
  }

  override turn(state: StateName, isWell: boolean, note: EventNote, key?: string): void {
    this.#say({ type: 'turn', state, isWell, note, key })
  }

  override forget(state: StateName, key: string): void {
    this.#say({ type: 'forget', state, key })
  }

  override mute(): void {
    this.#isMute = true
    super.mute()
  }

  #say(event: EventReport): void {
    if (!this.#isMute) this.report(event)
  }
}
