/**
 * The first messages of a link, in band: HELLO → AUTH → READY (docs/protocol.md). The proof itself arrives as a callback; the nonce
 * lives in this one connection, so a proof is single-use by construction.
 */
import { asGatewayError, codeOfReset, ERRORS, GatewayError, type ErrorCode } from '../errors.ts'
import {
  decodeAuth,
  decodeGoAway,
  decodeHello,
  decodeReady,
  encodeGoAway,
  encodeObject,
  MAX_HANDSHAKE_BYTES,
  VERSIONS,
  type Auth,
  type Hello,
  type Limits,
  type Ready,
} from '../wire/control.ts'
import { decodeBatch, encodeFrame, FrameType } from '../wire/frame.ts'
import type { Link } from './link.ts'

export type { Auth, Hello, Ready } from '../wire/control.ts'

/** Time for the whole handshake, milliseconds. */
const HANDSHAKE_MS = 5_000

/** The outer layer's half. */
export interface Greeting {
  readonly hello: Omit<Hello, 'min' | 'max'>
  /** Checks the proof; throws GatewayError AUTH with the exact reason, which stays in this layer's log. */
  readonly verify: (auth: Auth) => Omit<Ready, 'agent'>
  readonly agent: string
  /** The link now belongs to the session that this must create, synchronously. */
  readonly onReady: (peer: { readonly ready: Omit<Ready, 'agent'>; readonly auth: Auth }) => void
  readonly onRefused: (code: ErrorCode, reason: string) => void
}

/** The inner layer's half. */
export interface Introduction {
  /** Makes the proof for this connection. */
  readonly prove: (hello: Hello) => string
  readonly limits: Limits
  readonly agent: string
  /** The same text in all connections of this process. */
  readonly instance?: string
  /** Of the service process: the login by which it serves a tunnel. */
  readonly login?: number
  /** Additions to the protocol that this side takes. */
  readonly features?: readonly string[]
  /** The link now belongs to the session that this must create, synchronously. */
  readonly onReady: (peer: { readonly ready: Ready; readonly hello: Hello }) => void
  readonly onRefused: (code: ErrorCode, reason: string) => void
}

/** Greets an inner layer on a fresh link: sends HELLO, allows one attempt and five seconds. */
export function greet(link: Link, greeting: Greeting): void {
  const handshake = new Handshake(link, 'INNER_LAYER_LOST', greeting.onRefused)
  handshake.receive(message => {
    const auth = decodeAuth(onlyFrame(message, FrameType.AUTH))
    if (auth.version < VERSIONS.min || auth.version > VERSIONS.max) {
      throw new GatewayError('VERSION', versionText(auth.version, auth.version, INNER, OUTER))
    }
    const ready = greeting.verify(auth)
    handshake.over(() => {
      link.send(encodeFrame(FrameType.READY, 0, 0, encodeObject({ ...ready, agent: greeting.agent })))
      greeting.onReady({ ready, auth })
    })
  })
  link.send(encodeFrame(FrameType.HELLO, 0, 0, encodeObject({ ...VERSIONS, ...greeting.hello })))
}

/**
 * Answers the outer layer's HELLO on a fresh link. The function returned leaves in good order before READY has come, and tells nobody
 * here: the outer layer may think that the link is up and have opened streams, which it may then send elsewhere.
 */
export function introduce(link: Link, introduction: Introduction): (code: ErrorCode, reason: string) => void {
  const handshake = new Handshake(link, 'OUTER_LAYER_LOST', introduction.onRefused)
  let hello: Hello | undefined
  handshake.receive(message => {
    if (hello === undefined) {
      hello = decodeHello(onlyFrame(message, FrameType.HELLO))
      const version = Math.min(hello.max, VERSIONS.max)
      if (version < hello.min || version < VERSIONS.min) {
        throw new GatewayError('VERSION', versionText(hello.min, hello.max, OUTER, INNER))
      }
      const { agent, instance, login, features, limits } = introduction
      const own = {
        ...(instance !== undefined && { instance }),
        ...(login !== undefined && { login }),
        ...(features !== undefined && { features }),
      }
      const auth: Auth = { version, proof: introduction.prove(hello), agent, limits, ...own }
      link.send(encodeFrame(FrameType.AUTH, 0, 0, encodeObject(auth)))
    } else {
      const peer = { ready: decodeReady(onlyFrame(message, FrameType.READY)), hello }
      handshake.over(() => introduction.onReady(peer))
    }
  })
  return (code, reason) => handshake.leave(code, reason)
}

/** Reasons that help the peer and give nothing away; of any other failure it learns the kind alone. */
const TOLD = new Set<ErrorCode>(['VERSION', 'PROTOCOL', 'AUTH_TIMEOUT'])

/** The peer has ended the handshake. */
class PeerRefusal extends GatewayError {}

/** The common part of both halves: one deadline, and exactly one outcome. */
class Handshake {
  #isOver = false
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly link: Link,
    lost: ErrorCode,
    private readonly onRefused: (code: ErrorCode, reason: string) => void,
  ) {
    this.#timer = setTimeout(
      () => this.#refuse(new GatewayError('AUTH_TIMEOUT', `no answer within ${HANDSHAKE_MS / 1000} s`)),
      HANDSHAKE_MS,
    )
    this.#timer.unref()
    link.onClose = reason => {
      if (this.#end()) onRefused(lost, reason)
    }
  }

  /** Hands each message to `step`; what it throws is the refusal. */
  receive(step: (message: Buffer) => void): void {
    this.link.onMessage = message => {
      if (this.#isOver) return
      try {
        step(message)
      } catch (thrown) {
        this.#refuse(asGatewayError(thrown))
      }
    }
  }

  /** The handshake has succeeded; `next` makes the session that owns the link from now on. */
  over(next: () => void): void {
    if (!this.#end()) return
    try {
      next()
    } catch (thrown) {
      // Nobody owns the link now.
      this.link.destroy()
      throw thrown
    }
  }

  /** Ends it from this side, with the reason for the peer. */
  leave(code: ErrorCode, reason: string): void {
    if (!this.#end()) return
    this.link.send(encodeFrame(FrameType.GOAWAY, 0, 0, encodeGoAway(0, ERRORS[code].reset, reason)))
    this.link.close()
  }

  #refuse(error: GatewayError): void {
    if (!this.#end()) return
    const { code, message } = error
    if (!(error instanceof PeerRefusal)) {
      const { reset, text } = ERRORS[code]
      this.link.send(encodeFrame(FrameType.GOAWAY, 0, 0, encodeGoAway(0, reset || ERRORS.INTERNAL.reset, TOLD.has(code) ? message : text)))
    }
    this.link.close()
    this.onRefused(code, message)
  }

  #end(): boolean {
    const wasOver = this.#isOver
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    return !wasOver
  }
}

/** The payload of the one frame that `message` must consist of; a GOAWAY instead is thrown as its code. */
function onlyFrame(message: Buffer, expected: number): Buffer {
  if (message.length > MAX_HANDSHAKE_BYTES) throw new GatewayError('PROTOCOL', `${message.length} bytes before the handshake was over`)
  let found: Buffer | undefined
  decodeBatch(message, (type, _flags, _stream, payload) => {
    if (type === FrameType.GOAWAY) {
      const { code, reason } = decodeGoAway(payload)
      throw new PeerRefusal(codeOfReset(code), reason)
    }
    if (type !== expected || found !== undefined) throw new GatewayError('PROTOCOL', `a frame of type ${type} during the handshake`)
    found = payload
  })
  return found!
}

const OUTER = 'the outer layer'
const INNER = 'the inner layer'

const range = (min: number, max: number): string => (min === max ? `version ${min}` : `versions ${min} to ${max}`)

/** Read on both sides, so it names the layers and never says "this" or "you". */
const versionText = (min: number, max: number, peer: string, self: string): string =>
  `${peer} speaks protocol ${range(min, max)}, ${self} ${range(VERSIONS.min, VERSIONS.max)}: upgrade ${max < VERSIONS.min ? peer : self}`
