import { guarded } from '../net/guard.ts'
import { PeerBook } from '../peers/peer-book.ts'
import type { SharedAttempts } from '../service/core/attempts.ts'

/** The topic of places at which accounts have logged in. */
const KNOWN = 'known'
/** Time within which all that is counted is told to the others together, milliseconds. */
const COUNTS_MS = 100
/** The longest place that is taken from others: an address, and the key of an account. */
const MAX_PLACE = 512

/** Attempts that the services of several outer layers count together. */
export interface AttemptsOfAll {
  readonly attempts: SharedAttempts
  /** Another service has told this. */
  told(topic: string, message: unknown): void
}

/** @param tell  to the services of all other outer layers, by way of this one @param onFault  a fault in what one of them has told */
export function shareAttempts(tell: (topic: string, message: unknown) => void, onFault: (thrown: unknown) => void): AttemptsOfAll {
  const book = new PeerBook({
    clock: () => performance.now(),
    soon: flush => void setTimeout(guarded(onFault, flush), COUNTS_MS).unref(),
    onFault,
  })
  book.attach({
    send: (topic, message) => {
      tell(topic, message)
      return true
    },
    // Nothing is held, so that whoever comes later has missed nothing that counts for long.
    sendTo: () => undefined,
  })
  return {
    attempts: {
      meter: (name, rate) => book.counts.meter(name, rate),
      tellKnown: place => book.tell(KNOWN, place),
      hearKnown: listener =>
        book.hear(KNOWN, place => {
          if (typeof place === 'string' && place.length <= MAX_PLACE) listener(place)
        }),
    },
    told: (topic, message) => book.took('', topic, message),
  }
}
