import { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { ReceiveWindow, type WindowContext } from '../mux/receive-window.ts'

/** Bytes that may arrive on a channel before any was read, at first. */
export const INITIAL_WINDOW_BYTES = 65_536

/** One channel's way to the SSH client. None of the calls throws. */
export interface ChannelWire {
  /** True while the connection holds so many bytes that nothing should be added. */
  readonly isJammed: boolean
  /** Calls `resume` once it is not jammed any more; the same function is called once, however often it was given. */
  whenFree(resume: () => void): void
  data(bytes: Buffer): void
  grant(bytes: number): void
  eof(): void
  close(): void
}

/** Options of a channel that the client has confirmed. */
export interface TunnelChannelOptions {
  readonly wire: ChannelWire
  /** Bytes that the client takes at first. */
  readonly credit: number
  /** Bytes of one packet that the client takes. */
  readonly maxPacketBytes: number
  readonly window: Omit<WindowContext, 'grant'>
  /** The client knows no half-close: it closes the channel when it is told that one half has ended (Go's of MySocket). */
  readonly holdsEof: boolean
  /** A channel of which one half is left that the client cannot see, or has left, ends after this silence, milliseconds. */
  readonly lingerMs: number
}

/** Pieces that are joined into one packet where several wait. */
const JOINED_BYTES = 16_384

/**
 * A connection to the origin behind an SSH client: a channel of RFC 4254, as a stream. What arrives is granted anew when it was read, not
 * when it came; a write is done when the connection has room for it. Both halves end on their own, and the channel closes after both.
 */
export class TunnelChannel extends Duplex {
  readonly #window: ReceiveWindow
  #unread = 0
  #credit: number
  #waiting: Buffer[] = []
  #written: ((error?: Error | null) => void) | undefined
  #isClosed = false
  #hasEnded = false
  #linger: NodeJS.Timeout | undefined
  #silence: NodeJS.Timeout | undefined
  #onFirstWrite: (() => void) | undefined

  constructor(private readonly options: TunnelChannelOptions) {
    super({ allowHalfOpen: true, autoDestroy: true, readableHighWaterMark: INITIAL_WINDOW_BYTES, writableHighWaterMark: JOINED_BYTES })
    // Between whoever opened it and whoever uses it there must be somebody to hear.
    this.on('error', () => undefined)
    this.#credit = options.credit
    this.#window = new ReceiveWindow(INITIAL_WINDOW_BYTES, { ...options.window, grant: bytes => options.wire.grant(bytes) })
  }

  /**
   * Ends the channel with `reason` when nothing at all has come for `ms` after the first write. Go's client of MySocket leaves a channel
   * open and silent when its local service is down.
   */
  expectAnswer(ms: number, reason: () => Error): void {
    this.#onFirstWrite = () => {
      this.#silence ??= setTimeout(
        guarded(this.#fail, () => void this.destroy(reason())),
        ms,
      ).unref()
    }
  }

  // --- from the client ---

  /** Takes bytes. @throws GatewayError FLOW_EXCEEDED when they are more than the window */
  onBytes(bytes: Buffer): void {
    if (this.#hasEnded || this.#isClosed || this.destroyed) return
    this.#hear()
    this.#window.received(bytes.length)
    this.#unread += bytes.length
    this.push(bytes)
    this.#settle()
  }

  /** Takes bytes of no use to an origin: those that SSH has for standard error. */
  discard(bytes: number): void {
    if (this.#hasEnded || this.#isClosed || this.destroyed) return
    this.#window.received(bytes)
    this.#window.consumed(bytes)
  }

  /** The client takes so many bytes more. */
  onCredit(bytes: number): void {
    this.#credit += bytes
    this.#send()
  }

  /** The client sends nothing more. */
  onEof(): void {
    if (this.#hasEnded || this.destroyed) return
    this.#hear()
    this.#hasEnded = true
    this.push(null)
    if (this.options.holdsEof) this.#lingerOn()
  }

  /** The client has closed the channel: nothing that is written arrives any more. */
  onClose(): void {
    if (this.#isClosed) return
    this.onEof()
    this.#isClosed = true
    this.options.wire.close()
    this.#window.close()
    this.#waiting = []
    this.#lingerOn()
    this.#settleWrite()
  }

  // --- of the stream ---

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    this.#settle()
    return chunk
  }

  override _read(): void {
    // What comes is pushed; `read` and `onBytes` see what was taken.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#begin([chunk], done)
  }

  override _writev(chunks: { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#begin(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#isClosed) {
      if (this.options.holdsEof) this.#lingerOn()
      else this.options.wire.eof()
    }
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#linger)
    clearTimeout(this.#silence)
    this.#waiting = []
    if (!this.#isClosed) {
      this.#isClosed = true
      this.#window.close()
      this.options.wire.close()
    }
    done(error)
  }

  #begin(chunks: Buffer[], done: (error?: Error | null) => void): void {
    this.#onFirstWrite?.()
    this.#onFirstWrite = undefined
    this.#linger?.refresh()
    this.#written = done
    if (!this.#isClosed) this.#waiting = joined(chunks)
    this.#send()
  }

  /** Sends what the client's window and the connection have room for. */
  readonly #send = (): void => {
    const { wire, maxPacketBytes } = this.options
    while (this.#waiting.length > 0) {
      if (this.#credit <= 0) return
      if (wire.isJammed) return wire.whenFree(this.#send)
      const first = this.#waiting[0]!
      const size = Math.min(first.length, this.#credit, maxPacketBytes)
      this.#credit -= size
      if (size === first.length) this.#waiting.shift()
      else this.#waiting[0] = first.subarray(size)
      wire.data(size === first.length ? first : first.subarray(0, size))
    }
    // A write that fits is not done before the connection has room again: that is all that holds back whoever writes.
    if (this.#written !== undefined && wire.isJammed && !this.#isClosed) return wire.whenFree(this.#send)
    this.#settleWrite()
  }

  #settleWrite(): void {
    const done = this.#written
    this.#written = undefined
    if (!this.destroyed) done?.()
  }

  /** Grants what was read since the last time. */
  #settle(): void {
    const taken = this.#unread - this.readableLength
    if (taken <= 0) return
    this.#unread -= taken
    if (!this.#isClosed && !this.#hasEnded) this.#window.consumed(taken)
  }

  readonly #fail = (thrown: unknown): void => {
    this.destroy(thrown as Error)
  }

  #hear(): void {
    clearTimeout(this.#silence)
    this.#onFirstWrite = undefined
    this.#linger?.refresh()
  }

  #lingerOn(): void {
    if (this.#linger !== undefined || this.destroyed) return
    const { lingerMs } = this.options
    this.#linger = setTimeout(
      guarded(
        this.#fail,
        () => void this.destroy(new GatewayError('IDLE_TIMEOUT', `one half of the channel was left and nothing came for ${lingerMs} ms`)),
      ),
      lingerMs,
    ).unref()
  }
}

/** The pieces with the small ones joined: each packet costs a frame, a tag and a call of the cipher. */
function joined(chunks: Buffer[]): Buffer[] {
  if (chunks.length === 1) return chunks
  const result: Buffer[] = []
  let small: Buffer[] = []
  let bytes = 0
  const flush = (): void => {
    if (small.length > 0) result.push(small.length === 1 ? small[0]! : Buffer.concat(small, bytes))
    small = []
    bytes = 0
  }
  for (const chunk of chunks) {
    if (bytes + chunk.length > JOINED_BYTES) flush()
    small.push(chunk)
    bytes += chunk.length
  }
  flush()
  return result
}
