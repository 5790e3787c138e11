import { readFile } from 'node:fs/promises'
import { Agent as PlainAgent, request as requestHttp, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as requestHttps } from 'node:https'
import { GatewayError, messageOf } from '../../errors.ts'
import { linesOf } from './lines.ts'

/** The way to an API server, and who asks. */
export interface KubeAccess {
  readonly server: URL
  /** File of the token, which the cluster renews; undefined: none is sent, as to `kubectl proxy`. */
  readonly tokenFile: string | undefined
  /** PEM of the authorities to trust; undefined: those of Node.js. */
  readonly ca: string | undefined
}

/** One call. */
export interface KubeCall {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH'
  readonly body?: unknown
  readonly signal: AbortSignal
}

/** A line of a watch. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes */
export interface WatchEvent {
  readonly type: string
  readonly object: unknown
}

/** A refusal by the API server. */
export class KubeError extends GatewayError {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super('SERVICE_UNREACHABLE', message)
    this.name = 'KubeError'
  }
}

/** The resource version is too old: list again. */
export const isGone = (error: unknown): boolean => error instanceof KubeError && error.status === 410
/** Somebody else has changed the object, or made it. */
export const isConflict = (error: unknown): boolean => error instanceof KubeError && error.status === 409
export const isNotFound = (error: unknown): boolean => error instanceof KubeError && error.status === 404

const TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_WORDS = 500
const RBAC = '; give its service account the rights of deploy/kubernetes'

/** JSON over HTTP with an API server of Kubernetes: single calls, and watches. */
export class KubeClient {
  readonly #agent: PlainAgent

  /** @param timeoutMs  the default suits everything but tests */
  constructor(
    private readonly access: KubeAccess,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {
    this.#agent = access.server.protocol === 'https:' ? new TlsAgent({ keepAlive: true }) : new PlainAgent({ keepAlive: true })
  }

  /** @returns the object that it is answered with @throws KubeError, GatewayError SERVICE_UNREACHABLE */
  async call(path: string, call: KubeCall): Promise<unknown> {
    const response = await this.#send(path, { ...call, signal: AbortSignal.any([call.signal, AbortSignal.timeout(this.timeoutMs)]) })
    return this.#read(response, path)
  }

  /** Lines of a watch, as they come; it ends when the server or the connection does. @throws KubeError, GatewayError SERVICE_UNREACHABLE */
  async *watch(path: string, signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    const response = await this.#send(path, { signal })
    try {
      for await (const line of linesOf(response)) {
        const event = parse(line) as Partial<WatchEvent> | undefined
        // A line that is none is one that was cut: the next watch goes on from where this one was.
        if (typeof event?.type !== 'string') return
        yield event as WatchEvent
      }
    } catch (cause) {
      throw cause instanceof GatewayError ? cause : this.#fault(messageOf(cause), cause)
    } finally {
      response.destroy()
    }
  }

  /** Ends idle connections. */
  close(): void {
    this.#agent.destroy()
  }

  async #send(path: string, { method = 'GET', body, signal }: KubeCall): Promise<IncomingMessage> {
    const { server, ca, tokenFile } = this.access
    const token = tokenFile === undefined ? undefined : await this.#token(tokenFile)
    const text = body === undefined ? undefined : JSON.stringify(body)
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const headers = {
      Accept: 'application/json',
      'User-Agent': 'socket-gateway',
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(text !== undefined && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }),
    }
    const url = new URL(`${server.href.replace(/\/$/, '')}${path}`)
    return new Promise((resolve, reject) => {
      const options = { method, headers, signal, agent: this.#agent }
      const call =
        url.protocol === 'https:' ? requestHttps(url, { ...options, ...(ca !== undefined && { ca }) }) : requestHttp(url, options)
      // The head of a watch comes at once, too.
      call.setTimeout(this.timeoutMs, () => call.destroy(new Error(`no answer within ${this.timeoutMs / 1_000} s`)))
      call.on('error', cause => reject(this.#fault(messageOf(cause), cause)))
      call.on('response', response => {
        call.setTimeout(0)
        const status = response.statusCode ?? 0
        if (status >= 200 && status < 300) return resolve(response)
        this.#read(response, path).then(
          answer => reject(refusal(status, method, url.pathname, answer)),
          () => reject(refusal(status, method, url.pathname, undefined)),
        )
      })
      call.end(text)
    })
  }

  async #token(file: string): Promise<string> {
    try {
      return (await readFile(file, 'utf8')).trim()
    } catch (cause) {
      throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
    }
  }

  async #read(response: IncomingMessage, path: string): Promise<unknown> {
    const parts: Buffer[] = []
    let bytes = 0
    try {
      for await (const part of response) {
        parts.push(part as Buffer)
        bytes += (part as Buffer).length
        if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer to ${path} is longer than 64 MiB`)
      }
    } catch (cause) {
      response.destroy()
      throw this.#fault(messageOf(cause), cause)
    }
    return parse(Buffer.concat(parts).toString('utf8'))
  }

  #fault(why: string, cause: unknown): GatewayError {
    return new GatewayError('SERVICE_UNREACHABLE', `the API server ${this.access.server.origin}: ${why}`, { cause })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function refusal(status: number, method: string, path: string, answer: unknown): KubeError {
  const { message } = (answer ?? {}) as { readonly message?: unknown }
  const words = typeof message === 'string' ? `: ${message.slice(0, MAX_WORDS)}` : ''
  const remedy = status === 401 || status === 403 ? RBAC : ''
  return new KubeError(status, `${method} ${path} was answered ${status}${words}${remedy}`)
}
