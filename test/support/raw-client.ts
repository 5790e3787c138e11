/** A client that sends exactly the bytes it is given and reports exactly what came back. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { endAbruptly } from '../../src/net/linger.ts'
import { onCleanUp } from './cleanup.ts'
import { frameResponse, MessageReader, statusOf, type Field, type RawHead } from './raw-message.ts'
import { DEADLINE_MS, once, until, within } from './wait.ts'

/** How the peer closed: an orderly end, a reset, or not at all (yet). */
export type PeerClose = 'fin' | 'rst' | 'no'

export interface RawAnswer {
  /** All bytes that came, as latin-1. */
  readonly text: string
  readonly bytes: Buffer
  readonly closed: PeerClose
}

/** One parsed response; `body` without its framing. */
export interface RawResponse extends RawHead {
  readonly status: number
  readonly body: Buffer
  readonly trailers: readonly Field[]
  /** The 1xx heads that came before it. */
  readonly informational: readonly RawHead[]
}

export interface ConnectOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** The address to connect from, such as 127.0.0.2. */
  readonly localAddress?: string
  readonly tls?: ConnectionOptions
}

export interface RawRequestOptions extends ConnectOptions {
  /**
   * When the answer is whole: the peer closed ('close', the default), nothing came for `idleMs` after something had come or the peer
   * closed ('idle'), or the text so far matches.
   */
  readonly until?: 'close' | 'idle' | RegExp
  /** Default 100. */
  readonly idleMs?: number
  readonly deadlineMs?: number
}

const toBytes = (data: string | Buffer): Buffer => (typeof data === 'string' ? Buffer.from(data, 'latin1') : data)

/** One connection, written and read by hand. It is destroyed after the test file. */
export class RawConnection {
  /** How the peer closed; resolves at its FIN or RST (or 'no' when this side destroyed the connection first). */
  readonly closed: Promise<PeerClose>
  /** When the last bytes came (performance.now). */
  lastReadAt = 0
  #chunks: Buffer[] = []
  #state: PeerClose = 'no'
  /** Reads that look again when something comes. */
  readonly #waiting: (() => void)[] = []

  private constructor(readonly socket: Socket) {
    this.closed = new Promise(resolve => {
      const settle = (how: PeerClose): void => {
        if (this.#state === 'no') this.#state = how
        resolve(this.#state)
        this.#wake()
      }
      socket.on('data', (bytes: Buffer) => {
        this.#chunks.push(bytes)
        this.lastReadAt = performance.now()
        this.#wake()
      })
      socket.on('end', () => settle('fin'))
      socket.on('error', () => settle('rst'))
      socket.on('close', () => settle('no'))
    })
  }

  static async open(port: number, { host = '127.0.0.1', localAddress, tls }: ConnectOptions = {}): Promise<RawConnection> {
    // Half-open: the peer's end must not make this side end by itself.
    const address = { port, host, allowHalfOpen: true, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) }
    const socket: Socket = tls === undefined ? connect(address) : connectTls({ ...address, ...tls })
    await once(socket, tls === undefined ? 'connect' : 'secureConnect')
    const connection = new RawConnection(socket)
    onCleanUp(() => connection.destroy())
    return connection
  }

  /** Everything that came and was not taken by a read yet. */
  get bytes(): Buffer {
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }

  get peerClose(): PeerClose {
    return this.#state
  }

  /** Sends bytes; text is latin-1. */
  write(data: string | Buffer): this {
    this.socket.write(toBytes(data))
    return this
  }

  /**
   * Waits until what came holds `wanted`, then takes and returns all up to its end (a predicate: all there is).
   * @throws Error with what came, when the peer closes or the deadline passes first
   */
  async read(wanted: string | RegExp | ((text: string) => boolean), deadlineMs = DEADLINE_MS): Promise<string> {
    const lengthFound = (): number => {
      const text = this.text
      if (typeof wanted === 'function') return wanted(text) ? text.length : -1
      if (typeof wanted === 'string') return text.includes(wanted) ? text.indexOf(wanted) + wanted.length : -1
      const match = wanted.exec(text)
      return match === null ? -1 : match.index + match[0].length
    }
    await this.#wait(() => lengthFound() >= 0, String(wanted), deadlineMs)
    return this.take(lengthFound()).toString('latin1')
  }

  /** Takes the first `length` bytes of what came. */
  take(length: number): Buffer {
    const all = this.bytes
    this.#chunks = [all.subarray(length)]
    return all.subarray(0, length)
  }

  /**
   * Reads one final response to `method`, with the 1xx heads before it; bytes beyond it stay for the next read.
   * @throws Error when what came is no HTTP/1.1 response, or is cut short
   */
  async readResponse(method = 'GET', deadlineMs = DEADLINE_MS): Promise<RawResponse> {
    const informational: RawHead[] = []
    const body: Buffer[] = []
    const done: { head?: RawHead; trailers?: readonly Field[] } = {}
    let head: RawHead | undefined
    const reader = new MessageReader({
      onHead: next => {
        head = next
        return frameResponse(next, method)
      },
      onBody: bytes => body.push(bytes),
      onEnd: trailers => {
        const status = statusOf(head!)
        if (status < 200 && status !== 101) informational.push(head!)
        else {
          Object.assign(done, { head, trailers })
          this.#chunks.unshift(reader.stop())
        }
      },
    })
    await this.#wait(
      () => {
        if (done.head !== undefined) return true
        const ended = this.#state
        const bytes = this.take(Infinity)
        if (bytes.length > 0) reader.push(bytes)
        if (done.head === undefined && ended === 'fin') reader.end()
        return done.head !== undefined
      },
      'a response',
      deadlineMs,
    )
    return { ...done.head!, status: statusOf(done.head!), body: Buffer.concat(body), trailers: done.trailers!, informational }
  }

  /** Stops taking bytes from the kernel: a frozen reader. */
  freeze(): void {
    this.socket.pause()
  }

  thaw(): void {
    this.socket.resume()
  }

  /** Sends FIN; the peer may still write. */
  end(): void {
    this.socket.end()
  }

  /** Sends RST. */
  reset(): void {
    endAbruptly(this.socket)
  }

  destroy(): void {
    this.socket.destroy()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async #wait(condition: () => boolean, what: string, deadlineMs: number): Promise<void> {
    let failure: unknown
    const satisfied = (): boolean => {
      try {
        return condition()
      } catch (error) {
        failure = error // a parser's complaint is final; `until` would ask again
        return true
      }
    }
    // `closed` is looked at before the condition: what came before the close has to be judged once more.
    let isLast = false
    const isOver = (): boolean => {
      isLast = this.#state !== 'no' || this.socket.destroyed
      return satisfied() || isLast
    }
    const changed = (async () => {
      while (!isOver()) await new Promise<void>(resolve => this.#waiting.push(resolve))
    })()
    await within(changed, what, deadlineMs).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; got ${JSON.stringify(this.text.slice(0, 2_000))}`)
    })
    if (failure !== undefined) throw failure as Error
    if (isLast && !satisfied())
      throw new Error(`the peer closed (${this.#state}) before ${what}; got ${JSON.stringify(this.text.slice(0, 2_000))}`)
  }
}

/**
 * Sends `data` on a connection of its own and returns what came back.
 * @throws Error with what came, when the answer is not whole by the deadline
 */
export const rawRequest = async (port: number, data: string | Buffer, options: RawRequestOptions = {}): Promise<RawAnswer> => {
  const { until: end = 'close', idleMs = 100, deadlineMs = DEADLINE_MS } = options
  const connection = await RawConnection.open(port, options)
  connection.write(data)
  const isWhole = (): boolean => {
    if (connection.peerClose !== 'no') return true
    if (end === 'close') return false
    if (end === 'idle') return connection.lastReadAt > 0 && performance.now() - connection.lastReadAt >= idleMs
    return end.test(connection.text)
  }
  try {
    if (end === 'close') await within(connection.closed, 'the peer to close', deadlineMs)
    else await until(isWhole, { deadlineMs, what: `an answer (${String(end)})` })
  } catch (error) {
    throw new Error(`${(error as Error).message}; got ${JSON.stringify(connection.text.slice(0, 2_000))}`, { cause: error })
  } finally {
    connection.destroy()
  }
  return { text: connection.text, bytes: connection.bytes, closed: connection.peerClose }
}
