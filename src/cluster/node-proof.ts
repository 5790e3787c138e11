/**
 * The proof of a node that is dialled. Whoever dials proves itself by the handshake of the link; then it asks who answers, by a note with a nonce,
 * and nothing is sent through the link before the answer: the address came from a store that others can write to.
 */
import { createProof, verifyProof } from '../identity/proof.ts'
import type { Keys } from '../identity/key-registry.ts'
import type { PrivateKey } from '../identity/private-key.ts'
import { GatewayError } from '../errors.ts'
import { encodeNote } from '../payload/origin-profile.ts'

/** The time in which the answer has to come, milliseconds. */
export const PROOF_MS = 5_000

type Note = Readonly<Record<string, unknown>>

/** A question, for the note that asks it and for the answer. */
export interface Question {
  readonly nonce: string
  /** The node that asks. */
  readonly audience: string
  /** On the clock of the node that asks, seconds since 1970: that of the other one may be wrong. */
  readonly timeSeconds: number
}

/** Advice where a node proves a key that this one does not know. */
export const UNKNOWN_NODE = 'give all nodes the same --node-key, or each other theirs as --node-public-key'

/** The note that asks. */
export const encodeQuestion = ({ nonce, audience, timeSeconds }: Question): Buffer =>
  encodeNote({ note: 'who', nonce, audience, time: timeSeconds } as { note: string })

/** The note that answers it. @param node  the id of the node that answers @throws GatewayError PROTOCOL */
export function answerQuestion(note: Note, node: string, key: PrivateKey): Buffer {
  const { nonce, audience, time } = note
  if (typeof nonce !== 'string' || nonce.length > 128 || typeof audience !== 'string' || audience.length > 128 || typeof time !== 'number')
    throw new GatewayError('PROTOCOL', 'a question between nodes that is none')
  const proof = createProof(key, { identifier: node, url: 'node:', audience, nonce, nowSeconds: time, validityMs: PROOF_MS })
  return encodeNote({ note: 'proof', proof } as { note: string })
}

/** Holds an answer against its question. @param node  the id of the node that was to be reached @throws GatewayError AUTH */
export function checkAnswer({ proof }: Note, { nonce, audience, timeSeconds }: Question, node: string, keys: Pick<Keys, 'get'>): void {
  if (typeof proof !== 'string') throw new GatewayError('AUTH', 'the node has answered without a proof')
  const proven = verifyProof(proof, {
    registry: keys,
    audience,
    nonce,
    issuedAtSeconds: timeSeconds,
    nowSeconds: timeSeconds,
    validityMs: PROOF_MS,
    unknownKey: UNKNOWN_NODE,
  })
  if (proven.identifier !== node)
    throw new GatewayError('AUTH', `at this URL is the node ${JSON.stringify(proven.identifier)}, not ${JSON.stringify(node)}`)
}
