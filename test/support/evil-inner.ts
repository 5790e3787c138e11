/** An inner layer that a test plays by hand: proves itself like a real one, then sends whatever frames it is told to. */
import { introduce } from '../../src/mux/handshake.ts'
import { dial } from '../../src/link/dialer.ts'
import type { Link } from '../../src/mux/link.ts'
import { DEFAULT_LIMITS } from '../../src/mux/limits.ts'
import { createProof, type ProofClaims } from '../../src/identity/proof.ts'
import type { PrivateKey } from '../../src/identity/private-key.ts'
import { encodeGoAway, encodeReset, type Hello } from '../../src/wire/control.ts'
import { decodeBatch, encodeFrame, Flag, FrameType } from '../../src/wire/frame.ts'
import { encodeResponseHead } from '../../src/payload/head-codec.ts'
import { onCleanUp } from './cleanup.ts'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export interface HandPlayedOptions {
  readonly port: number
  /** Instead of `ws:` to this port of 127.0.0.1. */
  readonly url?: string
  /** PEM of the authority to trust for `wss:`. */
  readonly ca?: string
  readonly privateKey: PrivateKey
  readonly identifier?: string
  /** Changes the claims before they are signed. */
  readonly claims?: (claims: ProofClaims, hello: Hello) => ProofClaims
  /** Replaces the proof. */
  readonly proof?: (honest: string, hello: Hello) => string
  /** Called with each frame as it comes. */
  readonly onFrame?: (frame: Frame, self: HandPlayed) => void
}

export interface HandPlayed {
  readonly frames: readonly Frame[]
  /** Why the link has ended, undefined while it is up. */
  readonly ended: string | undefined
  send(type: number, flags: number, stream: number, payload?: Uint8Array): void
  /** Answers a stream with a complete response. */
  answer(stream: number, status: number, body: string): void
  reset(stream: number, code: number): void
  goAway(lastStream: number, code: number): void
  destroy(): void
}

/** Connects and proves itself. @throws Error with the reason of the refusal */
export const playInner = async (options: HandPlayedOptions): Promise<HandPlayed> => {
  const {
    port,
    privateKey,
    identifier = 'inner-layer',
    claims = (same: ProofClaims): ProofClaims => same,
    proof = (honest: string): string => honest,
    onFrame,
  } = options
  const { url = `ws://127.0.0.1:${port}`, ca } = options
  const frames: Frame[] = []
  let ended: string | undefined
  const prove = (hello: Hello): string => {
    const { audience, nonce, time, validityMs } = hello
    return proof(createProof(privateKey, claims({ identifier, url, audience, nonce, nowSeconds: time, validityMs }, hello)), hello)
  }
  const up: { link?: Link } = {}
  const send = (type: number, flags: number, stream: number, payload?: Uint8Array): void =>
    up.link?.send(encodeFrame(type, flags, stream, payload))
  const self: HandPlayed = {
    frames,
    get ended() {
      return ended
    },
    send,
    answer: (stream, status, body) => {
      const bytes = Buffer.from(body)
      send(
        FrameType.RESPONSE,
        0,
        stream,
        encodeResponseHead({ status, reason: 'By Hand', body: { kind: 'length', length: bytes.length }, fields: [] }),
      )
      send(FrameType.DATA, Flag.END, stream, bytes)
    },
    reset: (stream, code) => send(FrameType.RESET, 0, stream, encodeReset(code, 'by hand')),
    goAway: (lastStream, code) => send(FrameType.GOAWAY, 0, 0, encodeGoAway(lastStream, code, 'by hand')),
    destroy: () => up.link?.destroy(),
  }
  await new Promise<void>((resolve, reject) => {
    const refused = (reason: string): void => reject(new Error(reason))
    const giveUp = dial(
      { url, ...(ca === undefined ? {} : { ca }) },
      {
        onFailure: refused,
        onLink: link =>
          introduce(link, {
            prove,
            limits: DEFAULT_LIMITS,
            agent: 'by hand',
            onRefused: (code, reason) => refused(`${code}: ${reason}`),
            onReady: () => {
              up.link = link
              link.onMessage = message =>
                decodeBatch(message, (type, flags, stream, payload) => {
                  const frame = { type, flags, stream, payload: Buffer.from(payload) }
                  frames.push(frame)
                  onFrame?.(frame, self)
                })
              link.onClose = reason => {
                ended = reason
              }
              resolve()
            },
          }),
      },
    )
    onCleanUp(giveUp)
  })
  return self
}
