import type { Socket } from '../../client/wire.ts'
import { formatLogLine } from '../../payload/log-line.ts'
import type { LogLine } from '../../payload/log-note.ts'
import { formatQr } from '../../qr/terminal.ts'
import { hasColor, type CliContext } from '../command/context.ts'
import { printable } from '../../telemetry/pretty.ts'
import { printableLines } from '../client/answer.ts'
import { formatSocket } from '../tables/service-tables.ts'

/** Options of the view. */
export interface ScreenOptions {
  readonly json: boolean
  readonly quiet: boolean
  /** The public address as a QR code as well. */
  readonly qr?: boolean
}

/** The view that a user has of a connection: lines for people, or one JSON object a line. */
export class Screen {
  constructor(
    private readonly context: Pick<CliContext, 'stdout' | 'stderr' | 'env'>,
    private readonly options: ScreenOptions,
  ) {}

  socket(socket: Socket): void {
    if (this.options.json) this.#event('socket', { socket })
    else this.context.stdout.write(`${formatSocket(socket)}\n`)
  }

  /** @param to  URL of the user's service @param ms  since the command was entered @param hint  how it ends */
  connected(socket: Socket, to: string, { ms, hint }: { readonly ms: number; readonly hint: string }): void {
    if (this.options.json) return this.#event('connected', { url: socket.url, origin: to, ms: Math.round(ms) })
    this.context.stdout.write(`${printable(socket.url)} → ${to}   connected, ${Math.round(ms)} ms   (${hint})\n`)
    this.#qr(socket.url)
  }

  /** Of a gateway on this machine alone. @param others  addresses for other machines of its network */
  listening(url: string, to: string, others: readonly string[]): void {
    if (this.options.json) return this.#event('listening', { url, origin: to, others })
    const { stdout } = this.context
    stdout.write(`${url} → ${printable(to)}   (Ctrl-C ends it)\n`)
    for (const other of others) stdout.write(`${other}   for others in your network\n`)
    if (others[0] !== undefined) this.#qr(others[0])
  }

  /** Where requests and answers are shown. */
  inspector(url: string): void {
    if (this.options.json) this.#event('inspector', { url })
    else this.context.stdout.write(`${url}   shows requests and answers\n`)
  }

  lines(lines: readonly LogLine[]): void {
    if (this.options.quiet) return
    for (const line of lines) {
      if (this.options.json) this.#event('log', { ...line, text: formatLogLine(line) })
      else this.context.stdout.write(`${formatLogLine(line)}\n`)
    }
  }

  /** Something of the connection itself; beside the lines, which programs may read. */
  say(message: string): void {
    this.context.stderr.write(`${printableLines(message)}\n`)
  }

  #qr(url: string): void {
    if (this.options.qr !== true) return
    const { stdout, env } = this.context
    const code = formatQr(url, hasColor(stdout, env))
    if (code === undefined) this.say('the address is too long for a QR code')
    else stdout.write(code)
  }

  #event(event: string, facts: object): void {
    this.context.stdout.write(`${JSON.stringify({ event, ...facts })}\n`)
  }
}
