import { createServer, request, type ClientRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { duplexPair, type Duplex } from 'node:stream'
import { GatewayError, messageOf } from '../errors.ts'
import { attempt, guarded } from '../net/guard.ts'
import { FollowedPeer, type FollowListener } from './followed-peer.ts'
import type { Peer, PeerCall } from './peers.ts'
import { readAnswer } from './read-answer.ts'

/** The time in which an answer has to be there whole, and its bytes. */
export interface AnswerBounds {
  readonly withinMs?: number
  readonly maxBytes?: number
}

/** The answers of all others. */
export interface PeerAnswers<Answer> {
  readonly answers: readonly { readonly peer: Peer; readonly value: Answer }[]
  /** Others that have not answered as they should. */
  readonly missing: readonly MissingPeer[]
}

/** Another process that has not answered, and why. */
export interface MissingPeer {
  readonly peer: Peer
  readonly code: GatewayError['code']
  readonly why: string
}

/** The way to the other processes. */
export interface CallTransport {
  /** All of them, whether they can be reached or not. */
  readonly others: () => readonly Peer[]
  /** A connection to one. @throws GatewayError REFUSED_STREAM where there is no way at the moment */
  readonly open: (peer: string) => Duplex
}

/** Answers a request that is its own. @returns whether it was */
export type CallAnswerer = (request: IncomingMessage, response: ServerResponse) => boolean

/** This process, for what is asked of all alike. */
export const SELF = ''

/** An answer is there by then, or its process is missing, milliseconds. */
export const ANSWER_MS = 1_500
/** Bytes of one answer, and of those to one question together. */
const MAX_ANSWER_BYTES = 8_388_608
const MAX_ANSWERS_BYTES = 67_108_864
/** Calls of others that are answered at a time. */
const MAX_TAKEN = 1_024

/**
 * Calls between the processes that are one outer layer: HTTP, over connections that a transport makes, whose ends have proven who they are.
 * Nobody waits for a process that does not answer longer than for a moment.
 */
export class PeerCalls {
  readonly #answerers: CallAnswerer[] = []
  readonly #follows = new Set<FollowedPeer>()
  readonly #follow = new Set<(peer: Peer) => void>()
  #server: Server | undefined
  #taken = 0
  #transport: CallTransport = { others: () => [], open: () => unreachable() }

  constructor(private readonly onFault: (thrown: unknown) => void) {}

  /** From now on, others are reached by this way. */
  attach(transport: CallTransport): void {
    this.#transport = transport
  }

  /** The other processes at the moment. */
  get others(): readonly Peer[] {
    return this.#transport.others()
  }

  /** Has `answerer` answer calls of others; the first whose call it is does. */
  serve(answerer: CallAnswerer): void {
    this.#answerers.push(answerer)
  }

  /** Takes a connection of another process. */
  take(connection: Duplex): void {
    if (this.#taken >= MAX_TAKEN) return void connection.destroy()
    this.#taken++
    connection.on('error', () => connection.destroy())
    connection.on(
      'close',
      guarded(this.onFault, () => {
        this.#taken--
      }),
    )
    this.#server ??= this.#createServer()
    this.#server.emit('connection', connection)
  }

  /** Another process can be reached. */
  came(peer: string): void {
    const found = this.others.find(({ id }) => id === peer)
    if (found !== undefined) for (const begin of [...this.#follow]) begin(found)
  }

  /** Begins a call; its events are the caller's. @throws GatewayError REFUSED_STREAM */
  begin(peer: string, { method = 'GET', path }: PeerCall, headers: Readonly<Record<string, string>> = {}): ClientRequest {
    const connection = peer === SELF ? this.#openSelf() : this.#transport.open(peer)
    connection.on('error', () => connection.destroy())
    return request({ method, path, headers: { host: 'peer', ...headers, connection: 'close' }, createConnection: () => connection })
  }

  /** Asks one. @returns what it answers, as JSON; undefined for no content @throws GatewayError with the code of its answer; REFUSED_STREAM without one */
  ask<Answer>(peer: string, call: PeerCall, { withinMs = ANSWER_MS, maxBytes = MAX_ANSWER_BYTES }: AnswerBounds = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const body = call.body === undefined ? undefined : JSON.stringify(call.body)
      const asked = this.begin(peer, call, body === undefined ? {} : { 'content-type': 'application/json' })
      readAnswer(asked, { withinMs, maxBytes }).then(answer => resolve(answer as Answer), reject)
      asked.end(body)
    })
  }

  /** Asks all others at the same time. Never rejects. */
  async askAll<Answer>(call: PeerCall, bounds: AnswerBounds = {}): Promise<PeerAnswers<Answer>> {
    const { others } = this
    const maxBytes = Math.min(bounds.maxBytes ?? MAX_ANSWER_BYTES, Math.floor(MAX_ANSWERS_BYTES / Math.max(1, others.length)))
    const answers: { readonly peer: Peer; readonly value: Answer }[] = []
    const missing: MissingPeer[] = []
    await Promise.all(
      others.map(async peer => {
        try {
          answers.push({ peer, value: await this.ask<Answer>(peer.id, call, { ...bounds, maxBytes }) })
        } catch (thrown) {
          if (!(thrown instanceof GatewayError)) this.onFault(thrown)
          missing.push({ peer, code: thrown instanceof GatewayError ? thrown.code : 'INTERNAL', why: messageOf(thrown) })
        }
      }),
    )
    return { answers, missing }
  }

  /**
   * Follows what all others tell, line by line, those that come later too, until the returned function is called.
   * @param call  answered with JSON, one value in a line, for as long as somebody reads
   * @param self  this process, with the id SELF, which is followed in the same way; undefined: it is not
   */
  follow(call: PeerCall, listener: FollowListener, self?: Peer): () => void {
    const of = new Map<string, FollowedPeer>()
    const begin = (peer: Peer): void => {
      const known = of.get(peer.id)
      if (known !== undefined) return known.begin()
      const followed = new FollowedPeer(this, peer, call, { ...listener, onFault: this.onFault })
      of.set(peer.id, followed)
      this.#follows.add(followed)
      followed.begin()
    }
    for (const peer of [...(self === undefined ? [] : [self]), ...this.others]) attempt(this.onFault, () => begin(peer))
    this.#follow.add(begin)
    return () => {
      this.#follow.delete(begin)
      for (const followed of of.values()) {
        followed.end()
        this.#follows.delete(followed)
      }
    }
  }

  /** Ends what does not end by itself. */
  close(): void {
    this.#follow.clear()
    for (const followed of this.#follows) followed.end()
    this.#follows.clear()
    this.#server?.closeAllConnections()
  }

  #openSelf(): Duplex {
    const [near, far] = duplexPair()
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroy())
    this.take(far)
    return near
  }

  #createServer(): Server {
    const server = createServer({ headersTimeout: 0, requestTimeout: 0, keepAliveTimeout: 1 })
    server.on('clientError', (_error, connection) => connection.destroy())
    server.on('request', (asked: IncomingMessage, response: ServerResponse) => {
      const fail = (thrown: unknown): void => {
        this.onFault(thrown)
        response.destroy()
      }
      response.on('error', () => response.destroy())
      attempt(fail, () => {
        if (!this.#answerers.some(answer => answer(asked, response))) refuse(response)
      })
    })
    return server
  }
}

/** A release that does not know a call, or a process that has nothing of the kind. */
function refuse(response: ServerResponse): void {
  const body = JSON.stringify({ error: 'NOT_FOUND', error_message: 'this node does not know the call, or has nothing of the kind' })
  response.writeHead(404, { 'content-type': 'application/json' }).end(body)
}

function unreachable(): never {
  throw new GatewayError('REFUSED_STREAM', 'there is no link to it')
}
