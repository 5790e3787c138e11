/**
 * The proof of a node that is dialled. Whoever dials proves itself by the handshake of the link; then it asks who answers, by a note with a nonce,
 * and nothing is sent through the link before the answer: the address came from a store that others can write to. Both proofs name the address that was
 * dialled, so that nobody in between can pass them on, and the answer is for all that other nodes and inner layers are led by.
 */
import { createHash } from 'node:crypto'
import { parseLinkName } from '../identity/link-name.ts'
import { createProof, verifyProof } from '../identity/proof.ts'
import type { Keys } from '../identity/key-registry.ts'
import type { PrivateKey } from '../identity/private-key.ts'
import { GatewayError } from '../errors.ts'
import { encodeNote } from '../payload/origin-profile.ts'
import type { NodeFacts } from './presence.ts'

/** The time in which the answer has to come, milliseconds. */
export const PROOF_MS = 5_000

type Note = Readonly<Record<string, unknown>>

/** The facts of a node that it has to stand for itself. */
export type SignedFacts = Pick<NodeFacts, 'id' | 'url' | 'linkUrl' | 'zone'>

/** The name that a node is dialled by, as proofs are held against. */
export const linkNameOf = (url: string): string => parseLinkName(new URL(url).host) ?? ''

/** Scheme and authority of a URL, as proofs have them. */
export const authorityOf = (url: string): string => {
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

/** The audience of an answer: who has asked, and what is said of the node that answers. */
const audienceOf = (audience: string, { url, linkUrl, zone }: SignedFacts): string =>
  `${audience} ${createHash('sha256')
    .update(JSON.stringify([url, linkUrl, zone]))
    .digest('base64url')}`

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

/** The note that answers it. @param node  the one that answers @param secret  of its presence @throws GatewayError PROTOCOL */
export function answerQuestion(note: Note, node: SignedFacts, key: PrivateKey, secret?: string): Buffer {
  const { nonce, audience, time } = note
  if (typeof nonce !== 'string' || nonce.length > 128 || typeof audience !== 'string' || audience.length > 128 || typeof time !== 'number')
    throw new GatewayError('PROTOCOL', 'a question between nodes that is none')
  const proof = createProof(key, {
    identifier: node.id,
    url: authorityOf(node.url),
    audience: audienceOf(audience, node),
    nonce,
    nowSeconds: time,
    validityMs: PROOF_MS,
  })
  return encodeNote({ note: 'proof', proof, ...(secret !== undefined && { secret }) } as { note: string })
}

/** Holds an answer against its question. @param node  the one that was to be reached @throws GatewayError AUTH */
export function checkAnswer({ proof }: Note, { nonce, audience, timeSeconds }: Question, node: SignedFacts, keys: Pick<Keys, 'get'>): void {
  if (typeof proof !== 'string') throw new GatewayError('AUTH', 'the node has answered without a proof')
  const proven = verifyProof(proof, {
    registry: keys,
    audience: audienceOf(audience, node),
    linkNames: [linkNameOf(node.url)],
    nonce,
    issuedAtSeconds: timeSeconds,
    nowSeconds: timeSeconds,
    validityMs: PROOF_MS,
    unknownKey: UNKNOWN_NODE,
  })
  if (proven.identifier !== node.id)
    throw new GatewayError('AUTH', `at this URL is the node ${JSON.stringify(proven.identifier)}, not ${JSON.stringify(node.id)}`)
}
