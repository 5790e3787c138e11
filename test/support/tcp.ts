/** Plain TCP ends for tests of what carries TCP. */
import { connect, createServer, type Socket } from 'node:net'
import { onCleanUp } from './cleanup.ts'
import { listen } from './ports.ts'
import { until, within } from './wait.ts'

/** A connection that keeps what it gets. */
export class TcpEnd {
  readonly #chunks: Buffer[] = []
  /** The peer has sent its FIN. */
  hasEnded = false
  error: NodeJS.ErrnoException | undefined
  readonly closed: Promise<void>
  readonly #waiting = new Set<() => void>()

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#look()
    })
    socket.on('end', () => {
      this.hasEnded = true
      this.#look()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error))
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        resolve()
        this.#look()
      })
    })
    onCleanUp(() => socket.destroy())
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }

  /** Resolves once `probe` is true, looked at after each event of the connection. */
  async when(probe: () => boolean, what: string, deadlineMs?: number): Promise<void> {
    if (probe()) return
    let look = (): void => undefined
    const seen = new Promise<void>(resolve => {
      look = () => {
        if (probe()) resolve()
      }
    })
    this.#waiting.add(look)
    try {
      await within(seen, what, deadlineMs)
    } finally {
      this.#waiting.delete(look)
    }
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }

  async received(text: string, deadlineMs?: number): Promise<void> {
    await this.when(() => this.text.includes(text), JSON.stringify(text), deadlineMs)
  }

  async ended(deadlineMs?: number): Promise<Buffer> {
    await this.when(() => this.hasEnded, 'the end', deadlineMs)
    return this.bytes
  }

  async gone(deadlineMs?: number): Promise<void> {
    await within(this.closed, 'the connection to close', deadlineMs)
  }
}

/** Connects to a port of this machine. */
export const tcpConnect = async (port: number): Promise<TcpEnd> => {
  const end = new TcpEnd(connect({ port, host: '127.0.0.1', allowHalfOpen: true }))
  await until(() => !end.socket.connecting, { what: 'a connection' })
  return end
}

/** A server that keeps its connections. */
export interface TcpServer {
  readonly port: number
  readonly ends: readonly TcpEnd[]
  /** The connection with this index, once it is there. */
  end(index?: number): Promise<TcpEnd>
}

/** Takes connections, and does with each what `use` says. */
export const tcpServer = async (use: (end: TcpEnd) => void = () => undefined): Promise<TcpServer> => {
  const ends: TcpEnd[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    const end = new TcpEnd(socket)
    ends.push(end)
    use(end)
  })
  const port = await listen(server)
  return { port, ends, end: (index = 0) => until(() => ends[index], { what: `connection ${index}` }) }
}

/** Sends back what it gets, and ends when it is ended. */
export const echoServer = (): Promise<TcpServer> =>
  tcpServer(({ socket }) => {
    socket.removeAllListeners('data')
    socket.pipe(socket)
  })
