import { ClientTurns } from '../net/client-turns.ts'

/** Handshakes that wait for their turn, of all clients and of one; more are refused. */
const MAX_WAITING = 2_048
const MAX_WAITING_OF_ONE = 256

/** Turns of TLS handshakes: each costs about a millisecond of the event loop, so one begins in each turn of it. */
export class HandshakeTurns extends ClientTurns {
  constructor() {
    super({ turnMs: 0, maxWaiting: MAX_WAITING, maxWaitingOfOne: MAX_WAITING_OF_ONE })
  }
}
