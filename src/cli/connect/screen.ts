import type { Socket } from '../../client/wire.ts'
import { formatHostPort, type HostPort } from '../../address/host-port.ts'
import { formatLogLine } from '../../payload/log-line.ts'
import type { LogLine } from '../../payload/log-note.ts'
import type { CliContext } from '../command/context.ts'
import { printable } from '../../telemetry/pretty.ts'
import { printableLines } from '../client/answer.ts'
import { formatSocket } from '../tables/service-tables.ts'

/** The view that a user has of a connection: lines for people, or one JSON object a line. */
export class Screen {
  constructor(
    private readonly context: Pick<CliContext, 'stdout' | 'stderr'>,
    private readonly options: { readonly json: boolean; readonly quiet: boolean },
  ) {}

  socket(socket: Socket): void {
    if (this.options.json) this.#event('socket', { socket })
    else this.context.stdout.write(`${formatSocket(socket)}\n`)
  }

  /** @param ms  since the command was entered @param hint  how it ends */
  connected(socket: Socket, origin: HostPort, { ms, hint }: { readonly ms: number; readonly hint: string }): void {
    const place = formatHostPort(origin)
    const to = socket.type === 'http' || socket.type === 'https' ? `${socket.type}://${place}` : place
    if (this.options.json) this.#event('connected', { url: socket.url, origin: to, ms: Math.round(ms) })
    else this.context.stdout.write(`${printable(socket.url)} → ${to}   connected, ${Math.round(ms)} ms   (${hint})\n`)
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

  #event(event: string, facts: object): void {
    this.context.stdout.write(`${JSON.stringify({ event, ...facts })}\n`)
  }
}
