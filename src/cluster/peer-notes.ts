/** The notes by which nodes tell each other what they have in common: only through links whose far end has proven that it is a node. */
import type { Registry } from '../outer/inner-layers/registry.ts'
import { encodeNote } from '../payload/origin-profile.ts'
import type { PeerBook } from '../peers/peer-book.ts'
import type { NodeLink } from './node-link.ts'
import { followCalls } from './peer-calls.ts'
import type { NodeFacts } from './presence.ts'

export { takeCall } from './peer-calls.ts'

/** The kind of these notes. */
export const PEER_NOTE = 'peer'

const MAX_TOPIC = 64

/** Has a book tell and ask by the links of this node, and know who can be heard. @param dialled  nodes that have connected to this one */
export function followPeers(
  book: PeerBook | undefined,
  dialled: Registry,
  others: ReadonlyMap<
    string,
    { readonly facts: Pick<NodeFacts, 'id' | 'name'>; readonly link: Pick<NodeLink, 'isHeldUp' | 'open' | 'tell'> }
  >,
): void {
  if (book === undefined) return
  const encode = (topic: string, message: unknown): Buffer => encodeNote({ note: PEER_NOTE, topic, message } as { note: string })
  book.attach({
    send: (topic, message, isCount) => {
      const payload = encode(topic, message)
      let areAll = true
      for (const { link } of others.values())
        if (isCount && link.isHeldUp) areAll = false
        else link.tell(payload)
      return areAll
    },
    sendTo: (peer, topic, message) => void others.get(peer)?.link.tell(encode(topic, message)),
  })
  followCalls(book, others)
  // By the links in which they tell: whoever cannot tell any more may have ended what it had.
  dialled.onRemove = ({ identifier }) => {
    if (!dialled.connections.some(other => other.identifier === identifier)) book.gone(identifier)
  }
}

/** Takes such a note. @param from  the node, as it has proven */
export function takePeerNote(book: PeerBook | undefined, from: string, { topic, message }: Readonly<Record<string, unknown>>): void {
  if (typeof topic === 'string' && topic.length <= MAX_TOPIC) book?.took(from, topic, message)
}
