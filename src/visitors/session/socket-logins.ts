import { Recent } from '../../rates/recent.ts'
import { visitorName, type Access, type Visitor } from '../../route/access.ts'
import type { LoginEvent } from '../login-event.ts'
import type { Session } from './session.ts'

/** Sessions of which it was told lately. */
const MAX_TOLD = 50_000
const TOLD_MS = 86_400_000

/** Tells who has come in at a socket of the service by a login. Of whoever is not let in, its owner hears nothing. */
export class SocketLogins {
  readonly #told: Recent<true>

  /** @param steady  ms, rising */
  constructor(
    private readonly onEvent: (event: LoginEvent) => void,
    steady: () => number,
  ) {
    this.#told = new Recent(MAX_TOLD, TOLD_MS, steady)
  }

  /** Somebody was let in. */
  admitted(
    { ofSocket }: Pick<Access, 'ofSocket'>,
    { id, person }: Session,
    { visitor, by, address }: { readonly visitor: Visitor; readonly by: 'browser' | 'program'; readonly address: string },
  ): void {
    if (ofSocket === undefined) return
    const { socketId } = ofSocket
    const key = `${id} ${socketId}`
    if (this.#told.get(key) !== undefined) return
    this.#told.set(key, true)
    this.onEvent({ kind: 'socket-login', socketId, provider: person.provider, who: visitorName(visitor), by, address })
  }
}
