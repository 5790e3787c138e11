import type { ClientRequest, IncomingMessage } from 'node:http'
import { attempt, guarded } from '../net/guard.ts'
import type { Peer, PeerCall } from './peers.ts'

/** Told what one of the others tells. */
export interface FollowListener {
  readonly line: (peer: Peer, value: unknown) => void
  /** Another process does not tell any more, or tells again. Those that tell from the start are no news. */
  readonly turn: (peer: Peer, isThere: boolean) => void
}

/** The way to others, and who they are. */
interface Others {
  readonly others: readonly Peer[]
  begin(peer: string, call: PeerCall, headers?: Readonly<Record<string, string>>): ClientRequest
}

/** It begins to tell by then, or is missing, milliseconds. */
const BEGIN_MS = 1_500
const AGAIN_MS = 2_000
/** Bytes of one line. */
const MAX_LINE_BYTES = 1_048_576

/** The lines of one other process: asked for again when they have ended, for as long as that process is one of the others. */
export class FollowedPeer {
  #asked: ClientRequest | undefined
  #timer: NodeJS.Timeout | undefined
  #isMissing = false
  #isOver = false
  readonly #fail: (thrown: unknown) => void

  constructor(
    private readonly calls: Others,
    private readonly peer: Peer,
    private readonly call: PeerCall,
    private readonly listener: FollowListener & { readonly onFault: (thrown: unknown) => void },
  ) {
    this.#fail = thrown => {
      listener.onFault(thrown)
      this.#lost(this.#asked)
    }
  }

  /** Begins, where it has not. */
  begin(): void {
    if (this.#asked !== undefined || this.#isOver) return
    clearTimeout(this.#timer)
    const { calls, peer, call } = this
    const body = call.body === undefined ? undefined : JSON.stringify(call.body)
    let asked: ClientRequest
    try {
      asked = calls.begin(peer.id, call, body === undefined ? {} : { 'content-type': 'application/json' })
    } catch {
      return this.#lost(undefined)
    }
    this.#asked = asked
    const lost = guarded(this.#fail, () => this.#lost(asked))
    const late = setTimeout(lost, BEGIN_MS).unref()
    asked.on('error', lost)
    asked.on('close', lost)
    asked.on(
      'response',
      guarded(this.#fail, (answer: IncomingMessage) => {
        clearTimeout(late)
        this.#read(answer, asked)
      }),
    )
    asked.end(body)
  }

  /** Idempotent. */
  end(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#asked?.destroy()
    this.#asked = undefined
  }

  #read(answer: IncomingMessage, asked: ClientRequest): void {
    if (answer.statusCode !== 200) return this.#lost(asked)
    this.#turn(true)
    let rest = ''
    answer.setEncoding('utf8')
    answer.on('error', () => undefined) // 'close' of the call follows
    answer.on(
      'data',
      guarded(this.#fail, (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop()!
        if (rest.length > MAX_LINE_BYTES) return this.#lost(asked)
        for (const line of lines) if (line !== '' && this.#asked === asked) this.listener.line(this.peer, JSON.parse(line))
      }),
    )
  }

  #lost(asked: ClientRequest | undefined): void {
    if (this.#isOver || asked !== this.#asked) return
    this.#asked = undefined
    asked?.destroy()
    // One that has left takes nothing along that is still to come; where it comes back, it is begun again.
    if (!this.calls.others.some(({ id }) => id === this.peer.id)) return
    this.#turn(false)
    this.#timer = setTimeout(
      guarded(this.#fail, () => this.begin()),
      AGAIN_MS,
    ).unref()
  }

  #turn(isThere: boolean): void {
    if (this.#isMissing === !isThere) return
    this.#isMissing = !isThere
    attempt(this.listener.onFault, () => this.listener.turn(this.peer, isThere))
  }
}
