import type { Socket as TcpSocket } from 'node:net'
import type { ServerChannel, Session } from 'ssh2'
import type { ErrorCode } from '../errors.ts'
import { settleWithin } from '../mux/settle-within.ts'
import { guarded, type Fail } from '../net/guard.ts'
import type { Socket } from '../service/model.ts'
import { mutedText, Repeats } from '../telemetry/repeats.ts'
import { exampleOf, greetingLines, printable, usageLines, type GreetingFacts } from './greeting.ts'
import { Terminal } from './terminal.ts'

/** Options of the sessions of one connection. */
export interface SessionsOptions {
  readonly greeting: GreetingFacts
  readonly socket: TcpSocket
  /**
   * The time that a client has to close a session that was ended, milliseconds. OpenSSH closes it once its terminal has everything; at a goodbye it
   * ends on the spot, and what it has read and not shown is lost.
   */
  readonly readMs: number
  /** The time that a session waits for the first forward, milliseconds. */
  readonly forwardMs: number
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** The sockets that the connection serves. */
  readonly sockets: () => readonly Socket[]
  /** The reason why the person may do nothing; empty: may. */
  readonly words: () => string
  /** Resolves when what was asked for so far is answered. */
  readonly answered: () => Promise<void>
  /** The person wants to go, or has nothing to stay for. */
  readonly onLeave: () => void
  readonly fail: Fail
}

const MAX_SESSIONS = 4
const MAX_UNSAID = 64
/** Words for somebody who forwards a port, where the reason names what only the gateway knows. */
const WORDS: ReadonlyMap<ErrorCode, string> = new Map([
  [
    'ORIGIN_TLS',
    'your service does not speak TLS as this socket expects it; if it speaks plain HTTP, ask for port 80 instead of 443, or make a socket of type http',
  ],
])
/** The shortest time between two hints of the same kind, milliseconds. */
const HINT_MS = 10_000
/** A client has this long to leave by itself, milliseconds. */
const LEAVE_MS = 1_000
const NO_COMMANDS = 'This server runs no commands; it forwards ports. For example: '

/** Opens what was asked for; ssh2 opens nothing for a session that has ended meanwhile. */
type Open = () => ServerChannel | undefined

/** The sessions of one connection: a greeting with the URLs of its sockets, then who comes to them. */
export class Sessions {
  readonly #terminals = new Set<Terminal>()
  /** Those that are there before any forward was asked for, and the end of their patience. */
  readonly #early = new Map<Terminal, NodeJS.Timeout>()
  /** Sessions that were ended, until their client has closed them. */
  readonly #ended = new Set<Promise<void>>()
  readonly #hints: Repeats
  /** Lines that were said before there was a terminal. */
  readonly #unsaid: string[] = []
  #count = 0
  #hasGreeted = false
  #isOver = false

  constructor(private readonly options: SessionsOptions) {
    this.#hints = new Repeats(HINT_MS, options.clock)
  }

  /** True once somebody has seen which sockets there are. */
  get hasGreeted(): boolean {
    return this.#hasGreeted
  }

  /** A forward was asked for, and answered: there is something to show. */
  asked(): void {
    for (const terminal of this.#takeEarly()) this.#greet(terminal)
  }

  /** The client wants a session. */
  open(accept: () => Session, reject: () => void): void {
    if (this.#count >= MAX_SESSIONS) return reject()
    this.#count++
    const session = accept()
    const agree = this.#guard((yes: (() => void) | undefined) => yes?.())
    session.on('pty', agree)
    session.on('window-change', agree)
    session.on(
      'shell',
      this.#guard((open: Open) => this.#shell(open())),
    )
    session.on(
      'exec',
      this.#guard((open: Open) => {
        const terminal = this.#terminal(open())
        terminal?.say(NO_COMMANDS + exampleOf(this.options.greeting))
        if (terminal !== undefined) this.#end(terminal, 1)
      }),
    )
    session.on(
      'close',
      this.#guard(() => {
        this.#count--
      }),
    )
  }

  /** Says lines to whoever sees them, now or once there is a session. */
  say(...lines: readonly string[]): void {
    if (this.#terminals.size === 0 && this.#unsaid.length < MAX_UNSAID) this.#unsaid.push(...lines)
    for (const terminal of this.#terminals) terminal.say(...lines)
  }

  /** Shows lines of the live log. */
  log(lines: readonly string[]): void {
    if (lines.length > 0) for (const terminal of this.#terminals) terminal.log(lines)
  }

  /** Tells the owner what a visitor has run into at the local service. */
  hint(code: ErrorCode, reason: string): void {
    if (!code.startsWith('ORIGIN_') || this.#terminals.size === 0) return
    const muted = this.#hints.take(code)
    if (muted !== undefined) this.log([`${code}: ${printable(WORDS.get(code) ?? reason)}${mutedText(muted)}`])
  }

  /** Ends the sessions, then the connection. @param status  with which `ssh` exits */
  leave(status: number): void {
    const { fail, onLeave } = this.options
    // A client that has a session ends by itself once it has read its status; this is for the others.
    const wait = (): void => void setTimeout(guarded(fail, onLeave), LEAVE_MS).unref()
    void this.end(status).then(guarded(fail, wait))
  }

  /** Ends the sessions; resolves when their clients have shown what was said, or do not do so. @param status  with which `ssh` exits */
  async end(status: number): Promise<void> {
    for (const terminal of this.#takeEarly()) {
      terminal.say(...this.#unsaid.splice(0))
      this.#terminals.add(terminal)
    }
    for (const terminal of this.#terminals) this.#end(terminal, status)
    this.#terminals.clear()
    if (this.#ended.size > 0) await settleWithin(Promise.all(this.#ended), this.options.readMs)
  }

  /** The connection is gone. */
  close(): void {
    this.#isOver = true
    this.#takeEarly()
    this.#terminals.clear()
  }

  #shell(channel: ServerChannel | undefined): void {
    const terminal = this.#terminal(channel)
    if (terminal === undefined) return
    void this.options.answered().then(guarded(this.options.fail, () => this.#greetOrWait(terminal)))
  }

  #takeEarly(): readonly Terminal[] {
    const early = [...this.#early.keys()]
    for (const timer of this.#early.values()) clearTimeout(timer)
    this.#early.clear()
    return early
  }

  #greetOrWait(terminal: Terminal): void {
    const { fail, forwardMs, sockets, words } = this.options
    if (this.#isOver || !terminal.isOpen) return
    if (sockets().length > 0 || words() !== '' || this.#unsaid.length > 0) return this.#greet(terminal)
    const giveUp = guarded(fail, () => {
      if (this.#early.delete(terminal)) this.#greet(terminal)
    })
    this.#early.set(terminal, setTimeout(giveUp, forwardMs).unref())
  }

  #greet(terminal: Terminal): void {
    if (this.#isOver || !terminal.isOpen) return
    const { greeting } = this.options
    const sockets = this.options.sockets()
    const words = this.options.words()
    const unsaid = this.#unsaid.splice(0)
    this.#terminals.add(terminal)
    this.#hasGreeted = true
    if (sockets.length > 0) return terminal.say(...greetingLines(greeting, sockets), ...unsaid)
    if (words !== '') terminal.say('', words)
    else if (unsaid.length > 0) terminal.say('', ...unsaid)
    else terminal.say(...usageLines(greeting))
    this.leave(1)
  }

  #terminal(channel: ServerChannel | undefined): Terminal | undefined {
    if (channel === undefined) return undefined
    const { socket, fail } = this.options
    const onLeave = (isByKey: boolean): void => {
      this.#terminals.delete(terminal)
      clearTimeout(this.#early.get(terminal))
      this.#early.delete(terminal)
      if (!isByKey) return
      this.#end(terminal, 0)
      this.leave(0)
    }
    const terminal: Terminal = new Terminal(channel, socket, onLeave, fail)
    return terminal
  }

  #end(terminal: Terminal, status: number): void {
    const { closed } = terminal
    this.#ended.add(closed)
    void closed.then(() => this.#ended.delete(closed))
    terminal.end(status)
  }

  #guard<Args extends readonly unknown[]>(listener: (...args: Args) => void): (...args: Args) => void {
    return guarded(this.options.fail, listener)
  }
}
