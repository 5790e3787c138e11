/** An origin that records every byte it gets, judges it with the strict parser, and answers exactly what the test scripts. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { onCleanUp } from './cleanup.ts'
import { ownPort } from './ports.ts'
import { frameRequest, MessageReader, valuesOf, type Field, type RawHead } from './raw-message.ts'

/** Bytes collected in pieces, up to a limit, joined when somebody looks. */
class Collected {
  #pieces: Buffer[] = []
  #keptBytes = 0
  totalBytes = 0

  constructor(private readonly keepBytes: number) {}

  add(bytes: Buffer): void {
    this.totalBytes += bytes.length
    if (this.#keptBytes >= this.keepBytes) return
    this.#pieces.push(bytes.subarray(0, this.keepBytes - this.#keptBytes))
    this.#keptBytes += bytes.length
  }

  get bytes(): Buffer {
    const joined = Buffer.concat(this.#pieces)
    this.#pieces = [joined]
    return joined
  }
}

/** One request as it came; it grows while its body arrives. */
export class RawRequest implements RawHead {
  readonly startLine: string
  readonly lines: readonly string[]
  readonly fields: readonly Field[]
  readonly method: string
  /** The request target, exactly. */
  readonly target: string
  readonly version: string
  readonly collected: Collected
  trailers: readonly Field[] = []
  /** Has the end of the body come? */
  isComplete = false
  /** Was it cut off before its end? */
  isCut = false
  /** Resolves to this request at the end of its body; rejects when the connection ends before. */
  readonly complete: Promise<this>
  settle: (error?: Error) => void = () => undefined

  constructor(
    head: RawHead,
    readonly connection: OriginConnection,
    keepBytes: number,
  ) {
    this.startLine = head.startLine
    this.lines = head.lines
    this.fields = head.fields
    const [method = '', target = '', version = '', ...more] = head.startLine.split(' ')
    if (more.length > 0 || !/^HTTP\/1\.[01]$/.test(version) || target === '')
      throw new Error(`not a request line: ${JSON.stringify(head.startLine)}`)
    this.method = method
    this.target = target
    this.version = version
    this.collected = new Collected(keepBytes)
    this.complete = new Promise((resolve, reject) => {
      this.settle = error => (error === undefined ? resolve(this) : reject(error))
    })
    this.complete.catch(() => undefined) // whoever awaits it sees it; nobody else has to
  }

  /** The body so far without its framing, as far as it is kept (see `keepBytes`). */
  get body(): Buffer {
    return this.collected.bytes
  }

  /** Length of the body so far, also of what is not kept. */
  get bodyBytes(): number {
    return this.collected.totalBytes
  }

  /** The values of every field of this name. */
  values(name: string): string[] {
    return valuesOf(this.fields, name)
  }

  /**
   * Stops parsing this connection (after an upgrade) and completes the request; returns what came beyond it. To be called before the
   * handler awaits anything; from then on, read the socket.
   */
  takeOver(): Buffer {
    this.isComplete = true
    this.settle()
    return this.connection.stopParsing()
  }
}

/** What came on one connection. */
export class OriginConnection {
  readonly requests: RawRequest[] = []
  /** How the peer left: FIN, RST, or still here. */
  closed: 'fin' | 'rst' | 'no' = 'no'
  readonly collected: Collected
  stopParsing: () => Buffer = () => Buffer.alloc(0)

  constructor(
    readonly socket: Socket,
    keepBytes: number,
  ) {
    this.collected = new Collected(keepBytes)
  }

  /** The bytes as they came, as far as they are kept. */
  get bytes(): Buffer {
    return this.collected.bytes
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }
}

/**
 * Called when the head of a request has come; its body follows (`await request.complete`). Write the raw answer to the socket; an
 * origin that must not read calls `socket.pause()`. What it throws ends up in `faults`.
 */
export type OriginHandler = (request: RawRequest, socket: Socket) => Promise<void> | void

export interface RawOriginOptions {
  readonly host?: string
  readonly port?: number
  readonly tls?: TlsOptions
  /** Bytes kept per connection and per body; more is only counted. Default 4 MiB. */
  readonly keepBytes?: number
}

export interface RawOrigin {
  readonly port: number
  /** Requests whose head has come. */
  readonly hits: number
  readonly requests: readonly RawRequest[]
  /** The latest request. @throws Error when there was none */
  readonly last: RawRequest
  /** Every connection since the start, closed ones too. */
  readonly connections: readonly OriginConnection[]
  /** Connections open at the moment. */
  readonly open: number
  /** What the strict parser complained about, and what handlers threw. */
  readonly faults: readonly Error[]
  /** The next requests are handled by this. */
  handle(handler: OriginHandler): void
  /** Forgets what was recorded. */
  clear(): void
  /** Stops listening and destroys every connection. */
  close(): Promise<void>
}

/** A whole response in bytes; the fields are written as given, Content-Length is added unless the fields frame the body. */
export const rawResponse = (status: number, body: string | Buffer = '', fields: readonly string[] = []): Buffer => {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const isFramed = fields.some(line => /^(content-length|transfer-encoding):/i.test(line)) || status === 204 || status === 304
  const lines = [`HTTP/1.1 ${status} Scripted`, ...fields, ...(isFramed ? [] : [`Content-Length: ${bytes.length}`]), '', '']
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), bytes])
}

/** Reads the whole request, answers 200 with the body "ok" and keeps the connection. */
const answerOk: OriginHandler = async (request, socket) => {
  await request.complete
  socket.write(rawResponse(200, request.method === 'HEAD' ? '' : 'ok'))
}

/** Starts an origin on a free port; it is closed after the test file. */
export const startRawOrigin = async (handler: OriginHandler = answerOk, options: RawOriginOptions = {}): Promise<RawOrigin> => {
  const { host = '127.0.0.1', port = await ownPort(), tls, keepBytes = 4 << 20 } = options
  let handle = handler
  let connections: OriginConnection[] = []
  let requests: RawRequest[] = []
  let faults: Error[] = []
  const sockets = new Set<Socket>()

  const accept = (socket: Socket): void => {
    const connection = new OriginConnection(socket, keepBytes)
    connections.push(connection)
    sockets.add(socket)
    socket.setNoDelay(true)
    let current: RawRequest | undefined
    let isTakenOver = false

    const fail = (fault: Error): void => {
      faults.push(fault)
      current?.settle(fault)
      reader.stop()
      socket.destroy()
    }
    const cut = (): void => {
      if (current === undefined || current.isComplete) return
      current.isCut = true
      current.settle(new Error('the connection ended before the request body'))
    }
    // An async function, so that the handler runs now and whatever it throws arrives in one place.
    const answer = async (request: RawRequest): Promise<void> => handle(request, socket)

    const reader = new MessageReader({
      onHead: head => {
        const framing = frameRequest(head)
        const request = new RawRequest(head, connection, keepBytes)
        current = request
        requests.push(request)
        connection.requests.push(request)
        answer(request).catch((error: unknown) => {
          // A cut request rejects `complete`; that is its sender's doing, not a fault.
          if (!request.isCut) fail(error as Error)
        })
        return framing
      },
      onBody: bytes => current?.collected.add(bytes),
      onEnd: trailers => {
        if (current === undefined) return
        current.trailers = trailers
        current.isComplete = true
        current.settle()
      },
    })
    connection.stopParsing = () => {
      isTakenOver = true
      return reader.stop()
    }
    socket.on('data', (bytes: Buffer) => {
      connection.collected.add(bytes)
      if (isTakenOver) return
      try {
        reader.push(bytes)
      } catch (error) {
        fail(error as Error)
      }
    })
    socket.on('end', () => {
      connection.closed = 'fin'
      cut()
    })
    socket.on('error', () => {
      connection.closed = 'rst'
    })
    socket.on('close', () => {
      sockets.delete(socket)
      cut()
    })
  }

  const server: Server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> =>
    (closing ??= new Promise(resolve => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    }))
  onCleanUp(close)

  return {
    port: (server.address() as AddressInfo).port,
    get hits() {
      return requests.length
    },
    get requests() {
      return requests
    },
    get last() {
      const last = requests.at(-1)
      if (last === undefined) throw new Error('the origin got no request')
      return last
    },
    get connections() {
      return connections
    },
    get open() {
      return sockets.size
    },
    get faults() {
      return faults
    },
    handle: next => {
      handle = next
    },
    clear: () => {
      connections = []
      requests = []
      faults = []
    },
    close,
  }
}
