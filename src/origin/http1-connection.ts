import type { Duplex } from 'node:stream'
import { guarded } from '../net/guard.ts'
import { whenTrulyEnded } from '../net/true-end.ts'

/** The present user of a connection. */
export interface ConnectionUser {
  /** @param isBorrowed  they change afterwards */
  onBytes(bytes: Buffer, isBorrowed: boolean): void
  /** The origin sends nothing more. */
  onEnd(): void
  /** It is gone. @param error  undefined: it closed without one */
  onClose(error: Error | undefined): void
  /** One of the three above has thrown. */
  onFault(thrown: unknown): void
}

/**
 * One connection to an origin, for one request at a time. It reads on while nobody uses it: whatever comes then was not asked for, and is
 * its end.
 */
export class Http1Connection {
  #user: ConnectionUser | undefined
  #error: Error | undefined
  #isGone = false
  /** Requests that were begun on it. */
  requestCount = 0
  /** When the pool gives it up, if nobody has used it until then; of the pool's clock. */
  idleUntilMs = 0

  /**
   * @param socket    connected
   * @param bornAtMs  when it was made
   * @param onGone    it is of no use any more
   * @param onUnasked  bytes came while nobody used it
   */
  constructor(
    readonly socket: Duplex,
    readonly bornAtMs: number,
    private readonly onGone: (connection: Http1Connection) => void,
    private readonly onUnasked: (bytes: Buffer) => void,
  ) {
    socket.on('data', this.onBytes)
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  /** True while another request may be sent on it. */
  get isUsable(): boolean {
    return !this.#isGone && !this.socket.destroyed && this.socket.writable
  }

  /** Gives it to `user`, or with undefined to nobody. */
  use(user: ConnectionUser | undefined): void {
    this.#user = user
    if (user !== undefined) this.requestCount++
  }

  /** Ends it now. The user is not told. */
  destroy(): void {
    this.#user = undefined
    this.#leave()
    this.socket.destroy()
  }

  /** Hands the socket over, without a listener of ours and paused: HTTP is over on it. */
  detach(): Duplex {
    this.#user = undefined
    this.#leave()
    const { socket } = this
    socket.pause()
    socket.off('data', this.onBytes)
    socket.off('end', this.#onEnd)
    socket.off('close', this.#onClose)
    return socket // the listener of errors stays: there must always be one
  }

  #leave(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.onGone(this)
  }

  /** Runs what an event of the socket causes: a throw ends this connection and is the failure of whoever had it, never of the process. */
  #run(action: (user: ConnectionUser) => void): void {
    const user = this.#user
    if (user === undefined) return this.destroy()
    try {
      action(user)
    } catch (thrown) {
      this.destroy()
      user.onFault(thrown)
    }
  }

  readonly #fail = (thrown: unknown): void => {
    const user = this.#user
    this.destroy()
    user?.onFault(thrown)
  }

  /** Bytes were read. @param isBorrowed  they change afterwards */
  readonly onBytes = guarded(this.#fail, (bytes: Buffer, isBorrowed?: boolean) => {
    if (this.#user === undefined) this.onUnasked(bytes)
    const user = this.#user
    if (user === undefined) this.destroy()
    else user.onBytes(bytes, isBorrowed === true)
  })

  readonly #onEnd = guarded(this.#fail, () => {
    this.#leave()
    if (this.#user === undefined) this.destroy()
    else whenTrulyEnded(this.socket, this.#fail, this.#ended)
  })

  readonly #ended = (): void => {
    if (this.#user !== undefined) this.#run(user => user.onEnd())
  }

  readonly #onError = (error: Error): void => {
    this.#error ??= error
  }

  readonly #onClose = guarded(this.#fail, () => {
    this.#leave()
    this.#run(user => {
      this.#user = undefined
      user.onClose(this.#error)
    })
  })
}
