import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { messageOf } from '../../errors.ts'
import type { Keys } from '../../identity/key-registry.ts'
import type { PrivateKey } from '../../identity/private-key.ts'
import { createProof, verifyProof } from '../../identity/proof.ts'
import { authorityOf, UNKNOWN_NODE } from '../node-proof.ts'
import type { NodeFacts } from '../presence.ts'
import { MAX_NODES } from './scripts.ts'

/** Options of a seal. */
export interface PresenceSealOptions {
  /** Nodes of one name are one cluster. */
  readonly name: string
  readonly key: PrivateKey
  /** The keys that other nodes may prove. */
  readonly keys: Pick<Keys, 'get'>
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Milliseconds since 1970. */
  readonly wallClock: () => number
  /** Something was refused. @param reason  for operators */
  readonly onRefused: (reason: string) => void
}

/** Facts are signed anew after so long; those that are not are over, milliseconds. */
const SIGN_MS = 5_000
const STALE_MS = 20_000
/** Clocks of two nodes are at most so far apart, and an entry that somebody has put back is younger than this, milliseconds. */
const MAX_APART_MS = 30_000
/** Signatures that are looked at in one beat: a stranger can write as many as they like. */
const MAX_CHECKS = 64
const SECRET_BYTES = 32
const HASH_BYTES = 16
const PURPOSE = 'socket-gateway presence'

/** Facts that were good when they were read. */
interface OpenedFacts {
  readonly envelope: string
  readonly text: string
  readonly kid: string
  /** On the clock of the node. */
  readonly atMs: number
  /** Of its list when it signed: none is older. */
  readonly version: number
  /** On the clock of this node. */
  readonly seenMs: number
}

interface Envelope {
  readonly facts: string
  readonly at: number
  readonly version: number
  readonly proof: string
}

/** The entries of a list as one value that needs no order and follows each change. Nobody sees it but below a key, so that nobody can solve for another list. */
class ListSum {
  #count = 0
  readonly #sum = Buffer.alloc(HASH_BYTES)

  constructor(private readonly secret: Buffer) {}

  /** @returns the part of one entry, by which it is taken out again */
  add(number: string, text: string): Buffer {
    const part = createHmac('sha256', this.secret).update(`entry ${number} ${text}`).digest().subarray(0, HASH_BYTES)
    this.#count++
    this.#xor(part)
    return part
  }

  remove(part: Buffer): void {
    this.#count--
    this.#xor(part)
  }

  get text(): string {
    return `${this.#count} ${this.#sum.toString('hex')}`
  }

  #xor(part: Buffer): void {
    for (let i = 0; i < HASH_BYTES; i++) this.#sum[i]! ^= part[i]!
  }
}

/**
 * Proofs of what nodes write into Redis. The facts of a node are signed by its key; of what it serves, lists and changes have a code (HMAC) by a secret of that node, which those with the same key
 * derive, and those with another one are told by the link between the two. So whoever can write to Redis can take away, and make up, change or put back nothing.
 */
export class PresenceSeal {
  readonly #opened = new Map<string, OpenedFacts>()
  /** Envelopes that were refused, of those that are there now. */
  #refused = new Map<string, string>()
  /** Nodes that have said that they go: none comes back. */
  readonly #gone = new Set<string>()
  readonly #learned = new Map<string, Buffer>()
  readonly #derived = new Map<string, Buffer>()
  readonly #private: Buffer
  #own: { readonly text: string; readonly signedMs: number; readonly envelope: string } | undefined
  #sum: ListSum | undefined
  readonly #parts = new Map<number, Buffer>()
  #checksLeft = MAX_CHECKS
  #refusedNow = new Map<string, string>()

  constructor(private readonly options: PresenceSealOptions) {
    this.#private = options.key.key.export({ type: 'pkcs8', format: 'der' })
  }

  // --- writing

  /** The secret of a node with our key, base64url. */
  secretOf(id: string): string {
    return this.#derive(id).toString('base64url')
  }

  /** Signed facts; the same for some seconds. @param version  of the list */
  facts(facts: NodeFacts, version: number): string {
    const text = JSON.stringify(facts)
    const { clock, wallClock, key } = this.options
    if (this.#own?.text === text && clock() - this.#own.signedMs < SIGN_MS) return this.#own.envelope
    const at = wallClock()
    const proof = createProof(key, {
      identifier: facts.id,
      url: authorityOf(facts.url),
      audience: this.#audienceOf(text, version),
      nonce: String(at),
      nowSeconds: at / 1_000,
    })
    const envelope = JSON.stringify({ facts: text, at, version, proof } satisfies Envelope)
    this.#own = { text, signedMs: clock(), envelope }
    return envelope
  }

  /** The list of this node is empty. */
  reset(id: string): void {
    this.#sum = new ListSum(this.#derive(id))
    this.#parts.clear()
  }

  /** @returns number and code of the list as it is after a change */
  listed(
    id: string,
    version: number,
    { add, remove }: { readonly add: readonly (readonly [number, string])[]; readonly remove: readonly number[] },
  ): string {
    if (this.#sum === undefined) this.reset(id)
    const sum = this.#sum!
    for (const number of [...remove, ...add.map(([number]) => number)]) {
      const part = this.#parts.get(number)
      if (part === undefined) continue
      this.#parts.delete(number)
      sum.remove(part)
    }
    for (const [number, text] of add) this.#parts.set(number, sum.add(String(number), text))
    return `${version} ${codeOf(this.#derive(id), `list ${id} ${version} ${sum.text}`)}`
  }

  /** A message to the others. @param what  the number of the list with the change, or `gone` */
  message(id: string, what: string, text = ''): string {
    return `${id} ${what} ${codeOf(this.#derive(id), `change ${id} ${what} ${text}`)} ${text}`
  }

  // --- reading

  /** A node with a key of its own has said its secret by its link. */
  learned(id: string, secret: string): void {
    const bytes = Buffer.from(secret, 'base64url')
    if (bytes.length !== SECRET_BYTES) return
    if (this.#learned.size >= MAX_NODES && !this.#learned.has(id)) this.#learned.delete(this.#learned.keys().next().value!)
    this.#learned.set(id, bytes)
  }

  /** The nodes that are alive as Redis says, with facts that are signed; others are left out. */
  open<Alive extends { readonly id: string; readonly facts: string }>(alive: readonly Alive[]): readonly Alive[] {
    this.#checksLeft = MAX_CHECKS
    this.#refusedNow = new Map()
    const opened: Alive[] = []
    for (const one of alive) {
      const facts = this.#openFacts(one.id, one.facts)
      if (facts !== undefined) opened.push({ ...one, facts })
    }
    this.#refused = this.#refusedNow
    const now = this.options.clock()
    for (const [id, { seenMs }] of this.#opened) if (now - seenMs > 2 * MAX_APART_MS) this.#opened.delete(id)
    return opened
  }

  /** Can the list of a node be read? Of one with another key only when its link has been up once. */
  canRead(id: string): boolean {
    return this.#secretFor(id) !== undefined
  }

  /**
   * Holds a list against its code.
   * @param version  its number with the code
   * @param pairs    number and text of each entry, in turn
   * @returns its number; undefined for a list that the node has not written, or an old one
   */
  list(id: string, version: string, pairs: readonly string[]): number | undefined {
    const secret = this.#secretFor(id)
    if (secret === undefined) return undefined
    const [number = '', code = ''] = version.split(' ', 2)
    const sum = new ListSum(secret)
    for (let i = 0; i + 1 < pairs.length; i += 2) sum.add(pairs[i]!, pairs[i + 1]!)
    const isGood =
      isSame(code, codeOf(secret, `list ${id} ${number} ${sum.text}`)) && Number(number) >= (this.#opened.get(id)?.version ?? 0)
    if (isGood) return Number(number)
    this.options.onRefused(`the list of the node ${JSON.stringify(id)} is not what it has written, or an old one`)
    return undefined
  }

  /** A message without its code; undefined where nobody of this cluster has sent it. */
  openMessage(message: string): string | undefined {
    const [id = '', what = '', code = ''] = message.split(' ', 3)
    const secret = this.#secretFor(id)
    if (secret === undefined) return undefined
    const text = message.slice(id.length + what.length + code.length + 3)
    if (isSame(code, codeOf(secret, `change ${id} ${what} ${text}`))) {
      if (what === 'gone') this.#leave(id)
      return `${id} ${what} ${text}`
    }
    this.options.onRefused(`a message is not of the node ${JSON.stringify(id)}`)
    return undefined
  }

  #leave(id: string): void {
    if (this.#gone.size >= 4 * MAX_NODES) this.#gone.clear() // the signatures of the first are long too old
    this.#gone.add(id)
  }

  #openFacts(id: string, envelope: string): string | undefined {
    const { clock } = this.options
    if (this.#gone.has(id)) return undefined
    const known = this.#opened.get(id)
    const isNews = known?.envelope !== envelope
    const isDue = isNews && this.#refused.get(id) !== envelope
    if (isDue && this.#checksLeft > 0) {
      this.#checksLeft--
      const fresh = this.#check(id, envelope, known)
      if (fresh !== undefined) {
        this.#opened.set(id, fresh)
        return fresh.text
      }
      this.#refusedNow.set(id, envelope)
    } else if (isNews && !isDue) this.#refusedNow.set(id, envelope)
    // One that cannot be read takes nothing away from what the node has said before.
    return known !== undefined && clock() - known.seenMs < STALE_MS ? known.text : undefined
  }

  #check(id: string, envelope: string, known: OpenedFacts | undefined): OpenedFacts | undefined {
    const { keys, wallClock, clock, onRefused } = this.options
    const refuse = (reason: string): undefined => {
      onRefused(`the entry of the node ${JSON.stringify(id)} is refused: ${reason}`)
    }
    try {
      const { facts, at, version, proof } = JSON.parse(envelope) as Envelope
      if (typeof facts !== 'string' || typeof at !== 'number' || !Number.isSafeInteger(version) || typeof proof !== 'string')
        return refuse('it is not signed')
      if (known !== undefined && at < known.atMs) return refuse('it is older than one that was read before')
      const apartMs = Math.abs(wallClock() - at)
      if (known === undefined && apartMs > MAX_APART_MS)
        return refuse(`it was signed ${Math.round(apartMs / 1_000)} s from now: look at the clocks, or somebody has put back an old one`)
      const { kid, identifier } = verifyProof(proof, {
        registry: keys,
        audience: this.#audienceOf(facts, version),
        nonce: String(at),
        issuedAtSeconds: at / 1_000,
        nowSeconds: at / 1_000,
        validityMs: 1_000,
        unknownKey: UNKNOWN_NODE,
      })
      if (identifier !== id) return refuse(`it is of the node ${JSON.stringify(identifier)}`)
      return { envelope, text: facts, kid, atMs: at, version, seenMs: clock() }
    } catch (thrown) {
      return refuse(thrown instanceof SyntaxError ? 'it is not signed' : messageOf(thrown))
    }
  }

  #audienceOf(facts: string, version: number): string {
    const hash = createHash('sha256').update(JSON.stringify([this.options.name, version, facts]))
    return `presence ${hash.digest('base64url')}`
  }

  #secretFor(id: string): Buffer | undefined {
    const kid = this.#opened.get(id)?.kid
    if (kid === undefined) return undefined
    return kid === this.options.key.kid ? this.#derive(id) : this.#learned.get(id)
  }

  #derive(id: string): Buffer {
    let secret = this.#derived.get(id)
    if (secret !== undefined) return secret
    secret = Buffer.from(hkdfSync('sha256', this.#private, id, `${PURPOSE} ${this.options.name}`, SECRET_BYTES))
    if (this.#derived.size > 2 * MAX_NODES) this.#derived.clear()
    this.#derived.set(id, secret)
    return secret
  }
}

const codeOf = (secret: Buffer, text: string): string => createHmac('sha256', secret).update(text).digest('base64url')

const isSame = (one: string, other: string): boolean => {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
