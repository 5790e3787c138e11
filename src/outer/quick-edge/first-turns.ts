import { addressKey } from '../../address/address-key.ts'
import type { ClientTurns } from '../../net/client-turns.ts'
import type { QuickEdge } from './quick-connection.ts'

/**
 * Turns of the first requests of connections. The operating system hands over all connections that wait in one turn of the event loop, as many as a stranger
 * likes, and their requests are there at once as well. As many wait as there are connections, which count by then.
 */
export const firstTurns =
  (turns: ClientTurns): QuickEdge['takeTurn'] =>
  ({ peer, socket }, begin) =>
    turns.take(addressKey(peer.address), begin, () => socket.destroy())
