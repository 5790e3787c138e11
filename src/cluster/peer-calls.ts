/** Calls between nodes, each a stream of the link between the two: bytes of an HTTP connection, in which the one that has opened it asks. */
import { duplexPair, type Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import type { MuxStream, StreamHandler } from '../mux/stream.ts'
import { encodeCallHead } from '../payload/relay-head.ts'
import type { PeerBook } from '../peers/peer-book.ts'
import { Splice } from '../splice/splice.ts'
import type { NodeFacts } from './presence.ts'
import type { NodeLink } from './node-link.ts'

/** Has a book ask other nodes by the links of this one. */
export function followCalls(
  book: PeerBook | undefined,
  others: ReadonlyMap<string, { readonly facts: Pick<NodeFacts, 'id' | 'name'>; readonly link: Pick<NodeLink, 'open'> }>,
): void {
  book?.calls.attach({
    others: () => [...others.values()].map(({ facts: { id, name } }) => ({ id, name })),
    open: id => {
      const other = others.get(id)
      if (other === undefined) throw new GatewayError('REFUSED_STREAM', 'there is no such node any more')
      const [near, joined] = pair()
      try {
        joined.attach(other.link.open(encodeCallHead(), joined))
      } catch (thrown) {
        near.destroy()
        throw thrown
      }
      return near
    },
  })
}

/** Takes the stream of a call. @throws GatewayError REFUSED_STREAM where nobody answers calls */
export function takeCall(book: PeerBook | undefined, stream: MuxStream): StreamHandler {
  if (book === undefined) throw new GatewayError('REFUSED_STREAM', 'this node answers no calls')
  const [near, joined] = pair()
  book.calls.take(near)
  joined.attach(stream)
  return joined
}

/** One end of a connection within this process, and what joins the other end with a stream. */
function pair(): readonly [near: Duplex, joined: Splice] {
  const [near, far] = duplexPair()
  // Of a pair, one end does not know that the other was destroyed.
  near.once('close', () => far.destroy())
  far.once('close', () => near.destroy())
  const failure = (): GatewayError => new GatewayError('CANCELLED', 'the call was given up')
  return [near, new Splice(far, { failure, onEnd: () => undefined })]
}
