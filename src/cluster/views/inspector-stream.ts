import type { InspectorState, RequestSummary } from '../../inspector/record.ts'
import { ReaderAnswer, type Reader } from '../../inspector/api/readers.ts'
import type { Call } from '../../inspector/api/reply.ts'
import { guarded, type Fail } from '../../net/guard.ts'
import type { MissingPeer, PeerCalls } from '../../peers/peer-calls.ts'
import type { Peer, PeerCall } from '../../peers/peers.ts'

const ALIVE_MS = 15_000

/** A line of the inspector of one node. */
type Told =
  | { readonly type: 'request'; readonly request: RequestSummary }
  | { readonly type: 'gone'; readonly ids: readonly string[] }
  | { readonly type: 'reset' }
  | { readonly type: 'state'; readonly state: InspectorState }

/** The names of nodes that do not answer; one of another release, or without an inspector, is none of them. */
export const nodesOf = (missing: readonly MissingPeer[]): readonly string[] => missing.map(({ peer }) => peer.name).sort()

/** The state of several inspectors as that of one. @param states  at least one, the own one first */
export function mergeStates(states: readonly InspectorState[]): InspectorState {
  const [first] = states as readonly [InspectorState]
  const sum = (read: (state: InspectorState) => number): number => states.reduce((total, state) => total + read(state), 0)
  return {
    ...first,
    budgetBytes: sum(({ budgetBytes }) => budgetBytes),
    heldBytes: sum(({ heldBytes }) => heldBytes),
    requests: sum(({ requests }) => requests),
    seen: sum(({ seen }) => seen),
    dropped: sum(({ dropped }) => dropped),
  }
}

/** The nodes that are followed, and this one among them. */
export interface Followed {
  readonly calls: PeerCalls
  readonly call: PeerCall
  readonly self: Peer
}

/** Tells a reader what changes in the lists of all nodes. */
export class InspectorStream implements Reader {
  readonly #answer: ReaderAnswer
  readonly #states = new Map<string, InspectorState>()
  readonly #missing = new Map<string, string>()
  readonly #timer: NodeJS.Timeout
  readonly #leave: () => void
  #isBehind = false

  constructor(
    private readonly call: Call,
    { calls, call: asked, self }: Followed,
    fail: Fail,
  ) {
    this.#answer = new ReaderAnswer(call)
    this.#leave = calls.follow(
      asked,
      { line: (peer, value) => this.#line(peer, value as Told), turn: (peer, isThere) => this.#turn(peer, isThere) },
      self,
    )
    this.#timer = setInterval(
      guarded(fail, () => call.response.writableNeedDrain || this.#answer.alive()),
      ALIVE_MS,
    ).unref()
    call.response.on(
      'drain',
      guarded(fail, () => this.#catchUp()),
    )
  }

  /** No more is told, and no node asked. */
  readonly close = (): void => {
    clearInterval(this.#timer)
    this.#leave()
  }

  #line(peer: Peer, told: Told): void {
    if (told.type === 'request') return this.#tell('request', { request: { ...told.request, node: peer.name } })
    if (told.type !== 'state') return this.#tell(told.type, told)
    this.#states.set(peer.id, told.state)
    this.#tell('state', { state: mergeStates([...this.#states.values()]) })
  }

  #turn(peer: Peer, isThere: boolean): void {
    if (isThere) this.#missing.delete(peer.id)
    else this.#missing.set(peer.id, peer.name)
    this.#states.delete(peer.id)
    // What has come there meanwhile was not told.
    if (isThere) this.#tell('reset', {})
    this.#tell('nodes', { missing: [...this.#missing.values()].sort() })
  }

  #tell(type: string, more: object): void {
    if (this.call.response.destroyed) return
    if (this.#answer.isFull) {
      this.#isBehind = true
      return
    }
    this.#catchUp()
    this.#write(type, more)
  }

  #catchUp(): void {
    if (this.#isBehind) this.#write('reset', {})
    this.#isBehind = false
  }

  #write(type: string, more: object): void {
    this.#answer.tell(type, JSON.stringify({ ...more, type }))
  }
}
