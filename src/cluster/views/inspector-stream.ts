import type { InspectorState, RequestSummary } from '../../inspector/record.ts'
import { replyHead, type Call } from '../../inspector/api/reply.ts'
import { guarded } from '../../net/guard.ts'
import type { MissingPeer, PeerCalls } from '../../peers/peer-calls.ts'
import type { Peer, PeerCall } from '../../peers/peers.ts'

const ALIVE_MS = 15_000
/** A reader that has so much to read still is told to begin anew, bytes. */
const MAX_UNREAD_BYTES = 1_048_576

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

/** The list of all nodes as it changes, for one reader, until it leaves. */
export class InspectorStream {
  readonly #isEvents: boolean
  readonly #states = new Map<string, InspectorState>()
  readonly #missing = new Map<string, string>()
  #isBehind = false

  constructor(
    private readonly call: Call,
    private readonly onFault: (thrown: unknown) => void,
  ) {
    this.#isEvents = (call.request.headers.accept ?? '').includes('text/event-stream')
    replyHead(call, 200, { 'Content-Type': this.#isEvents ? 'text/event-stream' : 'application/x-ndjson' })
    call.response.flushHeaders()
  }

  /** Begins. */
  follow(calls: PeerCalls, path: PeerCall, self: Peer): void {
    const { response } = this.call
    const leave = calls.follow(
      path,
      { line: (peer, value) => this.#line(peer, value as Told), turn: (peer, isThere) => this.#turn(peer, isThere) },
      self,
    )
    const alive = guarded(this.onFault, () => {
      if (!response.writableNeedDrain) response.write(this.#isEvents ? ':\n\n' : '\n')
    })
    const timer = setInterval(alive, ALIVE_MS).unref()
    const end = (): void => {
      clearInterval(timer)
      leave()
    }
    response.once('close', guarded(this.onFault, end))
    response.on(
      'drain',
      guarded(this.onFault, () => this.#catchUp()),
    )
    if (response.destroyed) end()
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
    const { response } = this.call
    if (response.destroyed) return
    if (response.writableLength > MAX_UNREAD_BYTES) {
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
    const data = JSON.stringify({ ...more, type })
    this.call.response.write(this.#isEvents ? `event: ${type}\ndata: ${data}\n\n` : `${data}\n`)
  }
}
