import { randomFillSync } from 'node:crypto'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { messageOf } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { Deflater } from './deflate.ts'
import { FrameReader } from './frame-reader.ts'
import { applyMask, CLOSE_TIMEOUT_MS, CloseCode, encodeClose, encodeHeader, FIN, MAX_MESSAGE_BYTES, Opcode, TunnelClosed } from './wire.ts'

/** Options of a WebSocket. */
export interface WebSocketStreamOptions {
  readonly role: 'client' | 'server'
  /** `sokken.half-close` was agreed on. */
  readonly halfClose: boolean
  /** permessage-deflate was agreed on. */
  readonly deflate: boolean
  /** Sends a ping after this silence of ours, so that proxies on the way see life, milliseconds. Default: never. */
  readonly pingMs?: number
  /** Time for the peer to answer a close frame; the default suits everything but tests. */
  readonly closeTimeoutMs?: number
}

const HIGH_WATER_BYTES = 65_536
/** A peer that vanished without a word is noticed by the kernel: first probe after this silence, milliseconds. */
const KEEP_ALIVE_MS = 60_000
const MASK_POOL_BYTES = 4_096
/** Looks, one each close timeout, in which nothing of what waits has left: then the reader is gone. */
const STALLED_LOOKS = 12

/**
 * The bytes of a tunnel over an open WebSocket, as a stream:
 *
 *     end()      `fin` with half-close, else a close frame with 1000 that ends both directions
 *     'end'      the peer has ended its direction, cleanly
 *     'error'    TunnelClosed: broken off, by a close code, a fault of the peer, or the loss of the connection
 *     abort()    breaks off with a close code
 *
 * What is not read stays with the peer. Owns the socket and closes it; `gone` resolves when it has closed.
 */
export class WebSocketStream extends Duplex {
  /** Resolves once the connection below is closed: nothing is left of the tunnel. */
  readonly gone: Promise<void>
  readonly #reader: FrameReader
  readonly #deflater: Deflater | undefined
  readonly #pool: Buffer | undefined
  #poolOffset = MASK_POOL_BYTES
  #isFull = false
  #isClosing = false
  #closeReceived = false
  #hasPeerEnded = false
  #hasEnded = false
  #isSocketEnded = false
  #pingToAnswer: Buffer | undefined
  #onDrain: (() => void) | undefined
  #closeTimer: NodeJS.Timeout | undefined
  #pingTimer: NodeJS.Timeout | undefined

  /**
   * @param socket  after the handshake
   * @param head    what the socket gave after the handshake
   */
  constructor(
    private readonly socket: Duplex,
    head: Buffer,
    private readonly options: WebSocketStreamOptions,
  ) {
    super({ allowHalfOpen: true, readableHighWaterMark: HIGH_WATER_BYTES, writableHighWaterMark: HIGH_WATER_BYTES })
    const { role, halfClose, deflate, pingMs = 0 } = options
    this.#reader = new FrameReader({ masked: role === 'server', halfClose, deflate, maxMessageBytes: MAX_MESSAGE_BYTES })
    this.#deflater = deflate ? new Deflater() : undefined
    this.#pool = role === 'client' ? Buffer.allocUnsafe(MASK_POOL_BYTES) : undefined
    const fail = (thrown: unknown): void => this.abort(CloseCode.INTERNAL, messageOf(thrown))
    this.gone = new Promise(resolve => {
      const closed = (): void => {
        this.#socketClosed()
        resolve()
      }
      socket.once('close', guarded(fail, closed))
    })
    // Whoever does not look at faults is not ended by one.
    this.on('error', () => undefined)
    if (socket instanceof Socket) socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS).setTimeout(0)
    const read = (chunk: Buffer): void => {
      if (this.#closeReceived) return // what comes behind a close or a fault means nothing (RFC 6455 §1.4)
      this.#reader.push(chunk)
      this.#proceed()
    }
    const ended = (): void => {
      this.#isSocketEnded = true
      if (this.#closeReceived) socket.end()
      else this.#proceed()
    }
    const lost = (error: Error): void => this.#lost(error)
    const drained = (): void => this.#drained()
    socket.on('error', guarded(fail, lost))
    socket.on('data', guarded(fail, read))
    socket.on('end', guarded(fail, ended))
    socket.on('drain', guarded(fail, drained))
    this.#reader.push(head)
    if (pingMs > 0) this.#pingTimer = setInterval(() => this.#ping(), pingMs).unref()
    // Only now may a fault show: whoever made the stream has to get hold of it first.
    queueMicrotask(() => this.#proceed())
  }

  /** Does each direction end on its own? */
  get halfClose(): boolean {
    return this.options.halfClose
  }

  /** Breaks the tunnel off: the peer is told `code` and `reason`, whoever reads here gets a TunnelClosed. Idempotent. */
  abort(code: number, reason: string): void {
    this.destroy(new TunnelClosed(code, reason))
  }

  // --- from the peer ---

  override _read(): void {
    this.#isFull = false
    this.#proceed()
  }

  /** Reads what has come, as far as somebody takes it. */
  #proceed(): void {
    try {
      while (!this.#isFull && !this.#closeReceived) {
        const event = this.#reader.read()
        if (event === undefined) break
        switch (event.type) {
          case 'data':
            this.#received(event.bytes)
            break
          case 'fin':
            this.#peerEnded()
            break
          case 'ping':
            this.#pong(event.payload)
            break
          case 'pong':
            break
          case 'close':
            this.#receivedClose(event.code, event.reason)
        }
      }
    } catch (thrown) {
      // Nothing that comes behind a fault means anything.
      this.#closeReceived = true
      this.destroy(thrown instanceof TunnelClosed ? thrown : new TunnelClosed(CloseCode.INTERNAL, '', { cause: thrown }))
      this.#endSocket()
      return
    }
    if (this.#isSocketEnded && !this.#isFull && !this.#closeReceived) return this.#lost(undefined)
    if (this.#isFull) this.socket.pause()
    else if (this.socket.isPaused()) this.socket.resume()
  }

  #received(bytes: Buffer): void {
    if (this.destroyed) return
    if (this.#hasPeerEnded) throw new TunnelClosed(CloseCode.PROTOCOL, 'bytes behind the end')
    this.#isFull = !this.push(bytes)
  }

  #peerEnded(): void {
    if (this.#hasPeerEnded) throw new TunnelClosed(CloseCode.PROTOCOL, 'a second end')
    this.#hasPeerEnded = true
    if (this.destroyed) return
    this.push(null)
    if (this.#hasEnded) this.#sendClose(CloseCode.NORMAL, '')
  }

  #receivedClose(code: number, reason: string): void {
    this.#closeReceived = true
    this.#sendClose(code, reason) // RFC 6455 §5.5.1: the answer says the same
    const isClean = code === CloseCode.NORMAL || code === CloseCode.GOING_AWAY
    const isEnd = isClean && (!this.options.halfClose || this.#hasPeerEnded)
    if (!isEnd) this.destroy(new TunnelClosed(code, reason))
    else if (!this.#hasPeerEnded) {
      this.#hasPeerEnded = true
      if (!this.destroyed) this.push(null)
    }
    // With half-close, whoever has not ended by now cannot say anything any more.
    if (isEnd && this.options.halfClose && !this.#hasEnded) this.destroy(new TunnelClosed(code, 'closed before both ends had ended'))
    this.#endSocket()
  }

  // --- to the peer ---

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // After a close both directions are over; what the near end still says has nowhere to go.
    if (this.#isClosing) return done()
    this.socket.cork()
    for (let at = 0; at < chunk.length; at += MAX_MESSAGE_BYTES) this.#sendData(chunk.subarray(at, at + MAX_MESSAGE_BYTES))
    this.socket.uncork()
    this.#pingTimer?.refresh()
    if (this.socket.writableNeedDrain) this.#onDrain = done
    else done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#hasEnded = true
    if (!this.options.halfClose) this.#sendClose(CloseCode.NORMAL, '')
    else if (!this.#isClosing) {
      this.#send(Opcode.TEXT, Buffer.from(FIN))
      if (this.#hasPeerEnded) this.#sendClose(CloseCode.NORMAL, '')
    }
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#pingTimer)
    if (error instanceof TunnelClosed && error.closeCode !== CloseCode.ABNORMAL) this.#sendClose(error.closeCode, error.reason)
    else this.#sendClose(error === null ? CloseCode.GOING_AWAY : CloseCode.INTERNAL, '')
    // Whatever still comes is thrown away, up to the close frame.
    this.#isFull = false
    this.#proceed()
    this.#drained()
    done(error)
  }

  #sendData(bytes: Buffer): void {
    const payload = this.#deflater?.deflate(bytes)
    if (payload === undefined) this.#send(Opcode.BINARY, bytes)
    else this.#send(Opcode.BINARY, payload, true)
  }

  #send(opcode: number, payload: Buffer, compressed = false): void {
    if (this.socket.destroyed || this.socket.writableEnded) return
    const mask = this.#nextMask()
    let bytes = payload
    if (mask !== undefined) {
      bytes = Buffer.from(payload) // the caller's bytes are not ours to change
      applyMask(bytes, mask)
    }
    this.socket.write(encodeHeader(opcode, bytes.length, { mask, compressed }))
    if (bytes.length > 0) this.socket.write(bytes)
  }

  /** RFC 6455 §10.3: keys that nobody can foresee, fresh for each frame. */
  #nextMask(): Buffer | undefined {
    const pool = this.#pool
    if (pool === undefined) return undefined
    if (this.#poolOffset === MASK_POOL_BYTES) {
      randomFillSync(pool)
      this.#poolOffset = 0
    }
    return pool.subarray(this.#poolOffset, (this.#poolOffset += 4))
  }

  /** While the peer does not read, only its latest ping is kept for an answer (RFC 6455 §5.5.3). */
  #pong(payload: Buffer): void {
    if (this.#isClosing) return
    if (this.socket.writableNeedDrain) this.#pingToAnswer = payload
    else this.#send(Opcode.PONG, payload)
  }

  #ping(): void {
    if (!this.#isClosing && !this.socket.writableNeedDrain) this.#send(Opcode.PING, Buffer.alloc(0))
  }

  #drained(): void {
    const ping = this.#pingToAnswer
    this.#pingToAnswer = undefined
    if (ping !== undefined) this.#pong(ping)
    const done = this.#onDrain
    this.#onDrain = undefined
    done?.()
  }

  #sendClose(code: number, reason: string): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#send(Opcode.CLOSE, encodeClose(code, reason))
    this.#drained()
    this.#watchClose(code === CloseCode.NORMAL ? STALLED_LOOKS : 1)
  }

  /**
   * Bounds the closing: the peer gets `closeTimeoutMs` to answer once the close frame has left. Before that, bytes are waiting in front of
   * it: behind a clean end they are owed to a slow reader for as long as they move.
   */
  #watchClose(stalledLooks: number): void {
    if (this.socket.destroyed) return
    let last = this.socket.writableLength
    let stalled = 0
    const look = (): void => {
      const waiting = this.socket.writableLength
      stalled = waiting === last ? stalled + 1 : 0
      if ((waiting === 0 && last === 0) || stalled >= stalledLooks) this.socket.destroy()
      last = waiting
    }
    this.#closeTimer = setInterval(look, this.options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS)
  }

  /** Both close frames have passed: the server closes first, and the client follows (RFC 6455 §7.1.1). */
  #endSocket(): void {
    if (this.options.role === 'server') this.socket.end()
    this.socket.resume()
  }

  #lost(cause: Error | undefined): void {
    const reason = cause === undefined ? 'the connection ended without a close frame' : cause.message
    if (!this.#closeReceived) this.destroy(new TunnelClosed(CloseCode.ABNORMAL, reason, { cause }))
    this.#closeReceived = true
    this.socket.destroy()
  }

  #socketClosed(): void {
    clearInterval(this.#closeTimer)
    clearInterval(this.#pingTimer)
    if (!this.#closeReceived) this.#lost(undefined)
    // Nobody takes it any more.
    this.#isClosing = true
    this.#drained()
  }
}
