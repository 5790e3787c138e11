import type { IssuedPair } from './authority.ts'

/** An order that no other node makes at the same time. */
export interface OrderLock {
  release(): Promise<void>
  /** Time for which nobody is to try it, milliseconds. */
  hold(ms: number): Promise<void>
}

/** Answers to challenges that others give as well: an authority may come to any of them. */
export interface AnswersElsewhere {
  /** The answer to a challenge of an order of somebody else. @param place  which one it is */
  answerAt(place: string): Promise<string | undefined>
  /** Lets the others answer a challenge. */
  publish(place: string, keyAuthorization: string): Promise<void>
  withdraw(place: string): Promise<void>
}

/** Messages of the gateways of a cluster about orders. Nothing of it rejects: what cannot be had is as if there were none. */
export interface CertificateExchange extends AnswersElsewhere {
  /** Connects, and gives up waiting for that soon; until then there is nothing to be had. */
  start(): Promise<void>
  /** Takes an order; undefined: another node has it, or nobody can say. */
  lock(name: string): Promise<OrderLock | undefined>
  /** The certificate that a node has got. */
  find(name: string): Promise<IssuedPair | undefined>
  /** Gives a certificate to the others. @param untilMs  its end, milliseconds since 1970 @returns false: it is to be given once more, later */
  give(name: string, pair: IssuedPair, untilMs: number): Promise<boolean>
  close(): void
}
