import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { asGatewayError, GatewayError, type ErrorCode } from '../../errors.ts'
import { admitRequest } from '../../http/admission.ts'
import { loggedPath } from '../../http/logged-path.ts'
import { parseHost } from '../../address/host.ts'
import type { AccessRecord } from '../../telemetry/access-log.ts'
import type { Log } from '../../telemetry/log.ts'
import { answerBare, codeOfClientError, isLost, speaksTls, type ClientError } from './raw-answer.ts'
import type { ConnectionLimits } from '../access/connection-limits.ts'
import { errorAnswer, type ErrorAnswer } from '../../http/errors/error-answer.ts'
import { attempt, type Fail } from '../../net/guard.ts'
import { discardUpload } from '../../net/linger.ts'
import { untilEmpty } from '../../net/until-empty.ts'
import { PlainEdge } from '../ports/plain-port.ts'

/** Options of a redirecting port. */
export interface RedirectEdgeOptions {
  readonly port: number
  readonly host?: string
  /** Port of the TLS edge, once that is open. */
  readonly httpsPort: () => number
  /** Counts the connections of all edges. */
  readonly connections: ConnectionLimits
  /** Reads what comes before HTTP, the header of a proxy, then calls `next` with who the client is. */
  readonly preamble?: ((socket: Socket, next: (address: string) => void) => void) | undefined
  readonly limits: { readonly headerBytes: number; readonly headerMs: number; readonly lastRequestMs: number }
  /** Texts for authorities that ask whether a name leads here, by their token; absent: none asks. */
  readonly challenges?: { textOf(token: string): Promise<string | undefined> } | undefined
  readonly nextId: () => string
  readonly access: (record: AccessRecord) => void
  readonly log: Log
}

const SPEAKS_TLS = 'the client speaks TLS and this port plain HTTP: use the port for HTTPS'

/** RFC 8555 §8.3: a token has the letters of base64url. */
const CHALLENGE = /^\/\.well-known\/acme-challenge\/([\w-]{1,128})$/

/** `http:` on port 80. */
const HTTP_PORT = 80
const HTTPS_PORT = 443

/** Answers plain HTTP with a redirect to the same URL under https:, and nothing else but what authorities ask. One request for each connection. */
export class RedirectEdge {
  readonly #server: Server
  readonly #port: PlainEdge
  readonly #clients = new WeakMap<Duplex, string>()
  /** Connections that have had their one answer. */
  readonly #answered = new WeakSet<Duplex>()
  #open = 0

  constructor(private readonly options: RedirectEdgeOptions) {
    this.#server = createServer({
      maxHeaderSize: options.limits.headerBytes,
      headersTimeout: options.limits.headerMs,
      connectionsCheckingInterval: Math.min(5_000, options.limits.headerMs),
      requireHostHeader: false, // admission decides
    })
    this.#server.maxHeadersCount = 0
    const answer = (req: IncomingMessage, res: ServerResponse): void => attempt(this.#failOf(req.socket), () => this.#answer(req, res))
    this.#server.on('request', answer)
    this.#server.on('checkContinue', answer)
    this.#server.on('checkExpectation', answer)
    this.#server.on('connect', (req: IncomingMessage, socket: Duplex) =>
      attempt(this.#failOf(socket), () => {
        socket.resume() // no parser reads it any more, and its end is to be seen
        this.#refuse(socket, 'METHOD_REFUSED', 'method CONNECT', req)
      }),
    )
    this.#server.on('clientError', (error: ClientError, socket: Duplex) =>
      attempt(this.#failOf(socket), () => {
        if (isLost(error)) socket.destroy()
        else this.#refuse(socket, codeOfClientError(error), speaksTls(error) ? SPEAKS_TLS : error.message)
      }),
    )
    this.#port = new PlainEdge({
      ...options,
      isTrusted: () => false,
      detectsHttp2: false,
      firstByteMs: options.limits.headerMs,
      lastRequestMs: options.limits.lastRequestMs,
      accept: (socket, { address }) => {
        this.#clients.set(socket, address)
        this.#open++
        socket.once('close', () => this.#open--)
        this.#server.emit('connection', socket)
        socket.resume()
      },
    })
  }

  /** Opens the port. @throws GatewayError LISTEN_FAILED */
  start(): Promise<number> {
    this.#server.emit('listening') // node:http begins to look after its time-outs when it hears this
    return this.#port.start()
  }

  /** Connections of the port that Node.js has. */
  countConnections(): Promise<number | undefined> {
    return this.#port.countConnections()
  }

  /** Closes the port; resolves when who was there has had an answer, after a second at most. Idempotent. */
  async close(): Promise<void> {
    await this.#port.close()
    await untilEmpty(() => this.#open, this.options.limits.lastRequestMs)
    this.destroy()
  }

  /** Closes the port and every connection. Idempotent. */
  destroy(): void {
    this.#port.destroy()
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #failOf(socket: Duplex): Fail {
    return thrown => {
      socket.destroy()
      this.options.log.error({ err: thrown }, 'internal fault while redirecting')
    }
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    if (this.#answered.has(req.socket)) return
    this.#answered.add(req.socket)
    const requestId = this.options.nextId()
    const { challenges } = this.options
    const [, token] = challenges === undefined ? [] : (CHALLENGE.exec(req.url ?? '') ?? [])
    const redirect = (): void => this.#send(req, res, requestId, this.#redirect(req, requestId))
    if (challenges === undefined || token === undefined || req.method !== 'GET') return redirect()
    const fail = this.#failOf(req.socket)
    challenges.textOf(token).then(
      // What is not ours may be asked of a program behind the port for HTTPS.
      text => attempt(fail, () => (text === undefined ? redirect() : this.#send(req, res, requestId, answerOf(text, requestId)))),
      fail,
    )
  }

  #send(
    req: IncomingMessage,
    res: ServerResponse,
    requestId: string,
    { status, fields, body, error }: ErrorAnswer & { readonly error?: ErrorCode },
  ): void {
    res.shouldKeepAlive = false // the client goes on by https:
    if (!req.complete) discardUpload(req)
    res.writeHead(status, fields)
    res.end(req.method === 'HEAD' ? '' : body)
    const reason = error === undefined ? undefined : 'a request that cannot be redirected'
    this.#record(req.socket, req, { requestId, status, bytesOut: body.length, error, reason })
  }

  /** Answers what is no request. The parser repeats itself, and what comes behind a request is thrown away. */
  #refuse(socket: Duplex, error: ErrorCode, reason: string, req?: IncomingMessage): void {
    if (this.#answered.has(socket)) return
    this.#answered.add(socket)
    const requestId = this.options.nextId()
    const { status, body } = answerBare(socket, error, requestId, req?.headers.accept)
    this.#record(socket, req, { requestId, status, bytesOut: body.length, error, reason })
  }

  #record(
    socket: Duplex,
    req: IncomingMessage | undefined,
    facts: Pick<AccessRecord, 'requestId' | 'status' | 'bytesOut' | 'error' | 'reason'>,
  ): void {
    this.options.access({
      ...facts,
      client: this.#clients.get(socket) ?? '-',
      host: req?.headers.host ?? '-',
      method: req?.method ?? '-',
      path: req?.url === undefined ? '-' : loggedPath(req.url),
      bytesIn: 0,
      durationMs: 0,
      firstByteMs: undefined,
      target: undefined,
      identifier: undefined,
    })
  }

  #redirect(req: IncomingMessage, requestId: string): ErrorAnswer & { readonly error?: ErrorCode } {
    try {
      const location = this.#location(req)
      // RFC 9110 §15.4.9: 308 keeps the method and the body, in contrast to 301.
      return { status: 308, fields: ['Location', location, 'Content-Length', '0', 'X-Request-Id', requestId], body: '' }
    } catch (thrown) {
      const error = asGatewayError(thrown)
      return { ...errorAnswer(error, requestId, req.headers.accept), error: error.code }
    }
  }

  /** @throws GatewayError for a request that no URL can be made of */
  #location(req: IncomingMessage): string {
    const raw = { method: req.method ?? '', target: req.url ?? '', httpVersion: req.httpVersion, fields: req.rawHeaders }
    const { host: authority, target } = admitRequest(raw)
    const { host, port } = parseHost(authority)
    // `OPTIONS *` asks about a port, and node:http takes more characters than a URL has.
    if (!target.startsWith('/') || !/^[\x21-\x7e]*$/.test(target)) throw new GatewayError('BAD_TARGET', 'no target that a URL can have')
    // Who came by the usual port is to go on by the usual one, whatever the port is called behind a container's or a router's mapping.
    const httpsPort = port === undefined || port === HTTP_PORT ? HTTPS_PORT : this.options.httpsPort()
    return `https://${host}${httpsPort === HTTPS_PORT ? '' : `:${httpsPort}`}${target}`
  }
}

const answerOf = (text: string, requestId: string): ErrorAnswer => ({
  status: 200,
  fields: [
    ...['Content-Type', 'application/octet-stream', 'Content-Length', String(Buffer.byteLength(text))],
    ...['Cache-Control', 'no-store', 'X-Request-Id', requestId],
  ],
  body: text,
})
