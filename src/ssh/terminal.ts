import type { Socket as TcpSocket } from 'node:net'
import type { ServerChannel } from 'ssh2'
import { guarded, type Fail } from '../net/guard.ts'

const LINE_END = '\r\n'
/** Bytes that wait in the TCP socket before lines are left out: a log must not hold up what visitors wait for. */
const BUSY_BYTES = 131_072
const INTERRUPT = 3
const END_OF_TEXT = 4

/** The screen of one session: text for a person, each line with CR LF, since terminals of OpenSSH are raw. */
export class Terminal {
  #leftOut = 0
  #isOver = false
  /** Resolves when the client has closed the session: after `end`, it has shown by then what was said. */
  readonly closed: Promise<void>

  /**
   * @param onLeave  the person has pressed Ctrl-C or Ctrl-D, or the session was closed
   * @param fail     of an event that threw
   */
  constructor(
    private readonly channel: ServerChannel,
    private readonly socket: TcpSocket,
    onLeave: (isByKey: boolean) => void,
    fail: Fail,
  ) {
    const over = guarded(fail, () => {
      if (this.#isOver) return
      this.#isOver = true
      onLeave(false)
    })
    channel.on('error', () => undefined)
    channel.stderr.on('error', () => undefined)
    channel.on('close', over)
    this.closed = new Promise(
      resolve =>
        void channel.once(
          'close',
          guarded(fail, () => resolve()),
        ),
    )
    // The end of the client's input says nothing: that of MySocket's ends at once.
    channel.on(
      'data',
      guarded(fail, (bytes: Buffer) => {
        if (!this.#isOver && (bytes.includes(INTERRUPT) || bytes.includes(END_OF_TEXT))) onLeave(true)
      }),
    )
  }

  get isOpen(): boolean {
    return !this.#isOver && this.channel.writable
  }

  /** Lines that a person has to see. */
  say(...lines: readonly string[]): void {
    if (this.isOpen) this.channel.write(lines.map(line => line + LINE_END).join(''))
  }

  /** Lines of the live log, which are left out, and counted, while the client does not take them. */
  log(lines: readonly string[]): void {
    if (!this.isOpen) return
    if (this.channel.writableLength > 0 || this.socket.writableLength > BUSY_BYTES) {
      this.#leftOut += lines.length
      return
    }
    if (this.#leftOut > 0) {
      this.say(`… ${this.#leftOut} lines left out`)
      this.#leftOut = 0
    }
    this.say(...lines)
  }

  /** Ends the session. @param status  of the command, as `ssh` exits with it */
  end(status: number): void {
    if (!this.isOpen) return
    this.#isOver = true
    this.channel.exit(status)
    this.channel.end()
  }
}
