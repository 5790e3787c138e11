/** A client of HTTP/2 by Node, which collects what comes back. */
import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  type SecureClientSessionOptions,
} from 'node:http2'
import { onCleanUp } from './cleanup.ts'
import { until } from './wait.ts'

/** One answer, as it comes. */
export class H2Answer {
  status = 0
  /** Without pseudo-header fields, in order. */
  fields: string[] = []
  readonly interims: { readonly status: number; readonly fields: readonly string[] }[] = []
  #chunks: Buffer[] = []
  trailers: string[] | undefined
  /** END_STREAM came with the head. */
  endsWithHead = false
  hasEnded = false
  isClosed = false
  /** With which the stream was closed, 0 for a clean end. */
  code: number | undefined

  constructor(readonly stream: ClientHttp2Stream) {
    stream.on('error', () => undefined)
    stream.on('headers', (_headers: unknown, _flags: number, raw: string[]) =>
      this.interims.push({ status: statusOf(raw), fields: plain(raw) }),
    )
    stream.on('response', (_headers: unknown, flags: number, raw: string[]) => {
      this.status = statusOf(raw)
      this.fields = plain(raw)
      this.endsWithHead = (flags & 1) !== 0
    })
    stream.on('trailers', (_headers: unknown, _flags: number, raw: string[]) => {
      this.trailers = raw
    })
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
    })
    stream.on('end', () => {
      this.hasEnded = true
    })
    stream.on('close', () => {
      this.isClosed = true
      this.code = stream.rstCode
    })
  }

  /** Bytes so far. */
  get body(): Buffer {
    const whole = Buffer.concat(this.#chunks)
    this.#chunks = [whole]
    return whole
  }

  get text(): string {
    return this.body.toString()
  }

  values(name: string): string[] {
    return this.fields.filter((_value, index) => index % 2 === 1 && this.fields[index - 1] === name)
  }

  /** Resolves when the stream is closed. */
  async closed(): Promise<this> {
    await until(() => this.isClosed, { what: 'the end of a stream' })
    return this
  }
}

const statusOf = (raw: readonly string[]): number => Number(raw[raw.indexOf(':status') + 1])
const plain = (raw: readonly string[]): string[] => raw.filter((_value, index) => !raw[index - (index % 2)]!.startsWith(':'))

/** A session; closed after the test file. */
export class H2Client {
  constructor(readonly session: ClientHttp2Session) {
    session.on('error', () => undefined)
    onCleanUp(() => session.destroy())
  }

  /** To 127.0.0.1 with prior knowledge, or by TLS when `options` has its `ca`. */
  static open(port: number, options: ClientSessionOptions | SecureClientSessionOptions = {}): H2Client {
    const isSecure = 'ca' in options
    return new H2Client(connect(`${isSecure ? 'https' : 'http'}://${isSecure ? 'localhost' : '127.0.0.1'}:${port}`, options))
  }

  /** Sends a head; with `body` it is the whole request, without it the request ends with the head, unless `open`. */
  ask(
    headers: Record<string, string | string[]> = {},
    { body, open = false }: { readonly body?: string | Buffer; readonly open?: boolean } = {},
  ): H2Answer {
    const stream = this.session.request({ ':authority': 'a.test', ...headers }, { endStream: body === undefined && !open })
    if (body !== undefined) stream.end(body)
    return new H2Answer(stream)
  }

  /** As `ask`, until the end. */
  async get(headers: Record<string, string | string[]> = {}, body?: string | Buffer): Promise<H2Answer> {
    return this.ask(headers, body === undefined ? {} : { body }).closed()
  }
}
