import { randomBytes } from 'node:crypto'
import { ERRORS, GatewayError, messageOf } from '../errors.ts'
import type { Keys } from '../identity/key-registry.ts'
import type { PrivateKey } from '../identity/private-key.ts'
import { createProof } from '../identity/proof.ts'
import { Connector } from '../link/connector.ts'
import { dial } from '../link/dialer.ts'
import { dialStreamAtPath } from '../link/stream-dialer.ts'
import type { LinkCounters } from '../mux/link-counters.ts'
import type { Timing } from '../mux/liveness.ts'
import type { GrowthBudget } from '../mux/receive-window.ts'
import type { Session } from '../mux/session.ts'
import type { MuxStream, StreamHandler } from '../mux/stream.ts'
import { guarded } from '../net/guard.ts'
import { decodeNote } from '../payload/origin-profile.ts'
import type { Log } from '../telemetry/log.ts'
import { AGENT } from '../version.ts'
import { authorityOf, checkAnswer, encodeQuestion, PROOF_MS, UNKNOWN_NODE, type Question, type SignedFacts } from './node-proof.ts'
import { NODE_CONNECT_MS, NODE_LIMITS } from './node-limits.ts'
import type { Presence } from './presence.ts'

/** The settings that the links to all nodes share. */
export interface NodeLinkOptions {
  /** This node. */
  readonly id: string
  readonly key: PrivateKey
  /** The keys that other nodes may prove. */
  readonly keys: Pick<Keys, 'get'>
  /** PEM of the only authority to trust for wss:. */
  readonly ca?: string | undefined
  /** The way to processes of this machine; undefined: nodes are dialled by their URLs. */
  readonly local?: { readonly pathOf: (id: string) => string } | undefined
  readonly budget: GrowthBudget
  readonly counters: LinkCounters
  readonly timing: Timing
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly log: Log
  /** Hears the secret of a node that has proven itself. */
  readonly presence: Pick<Presence, 'learned'>
  /** The link to a node is up, so that it can be given streams. */
  readonly onUp: (node: string) => void
}

/** The same reason with advice for nodes, where it has advice for inner layers. */
function adviceOf(reason: string): string {
  if (reason === ERRORS.AUTH.text) return `it refuses the proof of this node; ${UNKNOWN_NODE}, and look at the clocks`
  const [what = '', advice] = reason.split('; nothing listens there')
  return advice === undefined ? reason : `${what}; nothing listens there: does the node run, and is this its --node-url?`
}

/** The link to one other node, for what is sent through it: kept up as long as the node is there, and dialled again when it is lost. */
export class NodeLink {
  readonly #connector: Connector
  /** Notes for the node, in order, once each: they are said again on each new session. */
  readonly #announced = new Set<Uint8Array>()
  /** The session whose far end has proven that it is the node. */
  #proven: Session | undefined
  #proof: { readonly question: Question; readonly timer: NodeJS.Timeout } | undefined
  #lastReason = ''
  #hasProven = false

  constructor(
    readonly node: SignedFacts & { readonly name: string },
    private readonly options: NodeLinkOptions,
  ) {
    const { id, key, ca, local, budget, counters, timing, clock, log } = options
    const { url, name } = node
    this.#connector = new Connector({
      dial: events =>
        local === undefined
          ? dial({ url, connectMs: NODE_CONNECT_MS, ...(ca !== undefined && { ca }) }, events)
          : dialStreamAtPath(local.pathOf(node.id), events),
      introduction: {
        agent: AGENT,
        instance: id,
        limits: NODE_LIMITS,
        prove: ({ audience, nonce, time, validityMs }) =>
          createProof(key, { identifier: id, url: authorityOf(url), audience, nonce, nowSeconds: time, validityMs }),
      },
      session: {
        budget,
        counters,
        clock,
        timing,
        lost: 'INNER_LAYER_LOST',
        onFault: thrown => log.error({ err: thrown }, 'internal fault while handling a stream between nodes'),
      },
      serve: () => ({
        accept: refuseStream,
        onNote: payload => this.#onNote(payload),
        close: () => this.#lost(),
      }),
      clock,
      random: Math.random,
      onUp: () => this.#ask(),
      onDown: ({ code, reason, wasUp, retryMs }) => {
        this.#lost()
        if (retryMs === undefined) return
        const isNews = wasUp || reason !== this.#lastReason
        this.#lastReason = wasUp ? '' : reason
        log[isNews ? 'warn' : 'debug'](
          { node: name, url, code, reason, retryMs },
          `no link to the node ${name} at ${url}: ${adviceOf(reason)}`,
        )
      },
    })
  }

  /** The session while it is up and proven. */
  get session(): Session | undefined {
    return this.#proven
  }

  /** Has the node stood for its addresses, be it up or not at the moment? */
  get hasProven(): boolean {
    return this.#hasProven
  }

  start(): void {
    this.#connector.start()
  }

  /** @throws GatewayError REFUSED_STREAM while there is no session; HEADERS_TOO_LARGE */
  open(payload: Uint8Array, handler: StreamHandler, options?: { readonly end?: boolean }): MuxStream {
    if (this.#proven === undefined) throw new GatewayError('REFUSED_STREAM', `there is no link to the node ${this.node.name}`)
    return this.#proven.open(payload, handler, options)
  }

  /** Tells the node something about whatever is opened later, once. */
  announce(payload: Uint8Array): void {
    if (this.#announced.has(payload)) return
    this.#announced.add(payload)
    if (this.#proven?.isOpen === true) this.#proven.note(payload)
  }

  /** Tells the node something, now. @returns whether there is a link to it */
  tell(payload: Uint8Array): boolean {
    if (this.#proven?.isOpen !== true) return false
    this.#proven.note(payload)
    return true
  }

  /** True while what was told before has not been taken. */
  get isHeldUp(): boolean {
    return this.#proven?.isHeldUp === true
  }

  /** Ends it now, with the streams in it. */
  destroy(): void {
    this.#lost()
    this.#connector.destroy()
  }

  /** Lets its streams finish, then ends it. */
  drain(): Promise<void> {
    return this.#connector.drain()
  }

  #ask(): void {
    const question = { nonce: randomBytes(32).toString('base64url'), audience: this.options.id, timeSeconds: Date.now() / 1000 }
    const late = (): void => this.#connector.session?.destroy('AUTH_TIMEOUT', 'the node does not prove itself')
    this.#proof = { question, timer: setTimeout(guarded(this.#fault, late), PROOF_MS).unref() }
    this.#connector.session?.note(encodeQuestion(question))
  }

  #onNote(payload: Buffer): void {
    const note = decodeNote(payload)
    const proof = this.#proof
    if (note.note !== 'proof' || proof === undefined) return
    this.#proof = undefined
    clearTimeout(proof.timer)
    const { keys, log, presence, onUp } = this.options
    const { id, name, url } = this.node
    const session = this.#connector.session
    try {
      checkAnswer(note, proof.question, this.node, keys)
    } catch (thrown) {
      log.warn({ node: name, url, reason: messageOf(thrown) }, `the node ${name} at ${url} does not prove itself: ${messageOf(thrown)}`)
      return session?.destroy('AUTH', 'the proof of the node was refused')
    }
    if (session?.isOpen !== true) return
    this.#proven = session
    this.#hasProven = true
    for (const announced of this.#announced) session.note(announced)
    this.#lastReason = ''
    log.info({ node: name, url, roundTripMs: session.roundTripMs }, `linked to the node ${name} at ${url}`)
    if (typeof note['secret'] === 'string') presence.learned?.(id, note['secret'])
    onUp(id)
  }

  #lost(): void {
    clearTimeout(this.#proof?.timer)
    this.#proof = undefined
    this.#proven = undefined
  }

  readonly #fault = (thrown: unknown): void => this.options.log.error({ err: thrown }, 'internal fault at a link between nodes')
}

const refuseStream = (): never => {
  throw new GatewayError('REFUSED_STREAM', 'nodes open streams in the links that they have dialled')
}
