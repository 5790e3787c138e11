import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** The value of llhttp for "stop here"; what handles a head may return it. */
const PAUSED = 21

type Execute = (result: number | Error) => void

/** The parts of the parser of a connection that node:http leaves to nobody: the same from Node.js 18 to 24. */
interface Parser {
  /** It reads the handle of the socket by itself, in C++. */
  readonly _consumed?: boolean
  onIncoming?: ((message: IncomingMessage, keepsAlive: boolean) => number) | null
  resume?(): void
  /** While `Execute` runs: the bytes that were parsed. */
  getCurrentBuffer?(): Buffer | undefined
  /** Among its events the one that is called when the bytes of a read are parsed. */
  [event: number]: unknown
}

/**
 * A parser of node:http that reads its socket by itself, which spares a buffer and several calls for each read. What one read has brought it
 * parses in one go, up to three thousand requests; this stops it after any of them.
 */
export class DirectParser {
  #isStopping = false
  readonly #event: number

  private constructor(
    private readonly parser: Parser,
    private readonly socket: Socket,
    event: number,
    private readonly onStopped: (rest: Buffer) => void,
  ) {
    this.#event = event
    const { onIncoming } = parser
    parser.onIncoming = (message, keepsAlive) => {
      const answer = onIncoming!.call(parser, message, keepsAlive)
      // Two: it switches protocols, and nothing behind it is parsed in any case.
      return this.#isStopping && answer === 0 ? this.#stop() : answer
    }
  }

  /**
   * The parser of `socket`; undefined when it does not read by itself, or is not as we know it.
   * @param onStopped  gets what was read behind the request after which it was stopped
   */
  static of(socket: Socket, onStopped: (rest: Buffer) => void): DirectParser | undefined {
    const { parser } = socket as { parser?: Parser | null }
    if (parser?._consumed !== true || typeof parser.onIncoming !== 'function') return undefined
    if (typeof parser.resume !== 'function' || typeof parser.getCurrentBuffer !== 'function') return undefined
    const event = EVENTS.find(at => (parser[at] as { name?: string } | undefined)?.name === 'bound onParserExecute')
    return event === undefined ? undefined : new DirectParser(parser, socket, event, onStopped)
  }

  /** While a request is announced: nothing behind it is parsed. */
  stop(): void {
    this.#isStopping = true
  }

  #stop(): number {
    const { parser, socket } = this
    this.#isStopping = false
    const execute = parser[this.#event] as Execute
    parser[this.#event] = (result: number | Error) => {
      parser[this.#event] = execute
      const { code, bytesParsed } = result as { code?: string; bytesParsed?: number }
      if (code !== 'HPE_PAUSED' || bytesParsed === undefined || socket.destroyed) return execute(result)
      const rest = parser.getCurrentBuffer!()!.subarray(bytesParsed)
      parser.resume!()
      execute(bytesParsed)
      this.onStopped(rest)
    }
    return PAUSED
  }
}

const EVENTS = [0, 1, 2, 3, 4, 5, 6, 7] as const
