/** Processes of one outer layer that hear each other, without a way between them. */
import { PeerBook } from '../../src/peers/peer-book.ts'

const copy = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** Makes `count` of them; what one tells, the others have heard when `tell` returns. */
export function joinedPeers(count: number): readonly PeerBook[] {
  const onFault = (thrown: unknown): void => {
    throw thrown
  }
  const books = Array.from(
    { length: count },
    () => new PeerBook({ clock: () => performance.now(), soon: flush => void setImmediate(flush), onFault }),
  )
  for (const [index, book] of books.entries())
    book.attach({
      send: (topic, message) => {
        for (const [at, other] of books.entries()) if (at !== index) other.took(String(index), topic, copy(message))
        return true
      },
      sendTo: (peer, topic, message) => books[Number(peer)]!.took(String(index), topic, copy(message)),
    })
  return books
}
