/** Requests of sockets in the shapes of an inspector: what only whoever runs the gateway knows is null. */
import type { SeenMessage, SeenRequest, SeenRequestDetail } from './seen-requests.ts'

/** One line of the list. */
export const summaryOf = <T extends SeenRequest>({ at, ...request }: T) => ({
  ...request,
  at: Date.parse(at),
  target: null,
  innerLayer: null,
  isImported: false,
})

/** All that is kept of one, without its bodies and messages. */
export const detailOf = ({ messageList: _, ...detail }: SeenRequestDetail) => ({ ...summaryOf(detail), reason: null })

/** One message. */
export const messageOf = ({ at, ...message }: SeenMessage) => ({ ...message, at: Date.parse(at) })
