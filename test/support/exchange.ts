/** One request of an ordinary client and what became of it: never throws, so that a test can judge failures as well as answers. */
import { request, type Agent, type IncomingHttpHeaders } from 'node:http'

export interface ExchangeOptions {
  readonly method?: string
  readonly path?: string
  /** Host field; the layers take the target from it. */
  readonly host?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
  readonly agent?: Agent
  readonly signal?: AbortSignal
  /** Calls back with every piece of the body. */
  readonly onData?: (chunk: Buffer) => void
}

/** `status` 0: no answer at all. `isComplete` says whether the body came to its announced end. */
export interface Outcome {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly isComplete: boolean
  readonly tookMs: number
  /** Code of an error answer of the gateway. */
  readonly code: string | undefined
}

/** Sends one request to 127.0.0.1, on a connection of its own unless an agent is given. */
export const exchange = (port: number, options: ExchangeOptions = {}): Promise<Outcome> =>
  new Promise(resolve => {
    const { method = 'GET', path = '/', host, headers = {}, body, agent = false, signal, onData } = options
    const startedMs = performance.now()
    const pieces: Buffer[] = []
    let status = 0
    let fields: IncomingHttpHeaders = {}
    const over = (isComplete: boolean): void => {
      const all = Buffer.concat(pieces)
      const code = fields['x-request-id'] === undefined ? undefined : /\bcode"?: ?"?([A-Z_]+)/.exec(all.toString())?.[1]
      resolve({ status, headers: fields, body: all, isComplete, tookMs: performance.now() - startedMs, code })
    }
    const req = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        agent,
        headers: {
          ...(host === undefined ? {} : { host }),
          ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
          ...headers,
        },
        ...(signal === undefined ? {} : { signal }),
      },
      res => {
        status = res.statusCode ?? 0
        fields = res.headers
        res.on('data', (chunk: Buffer) => {
          pieces.push(chunk)
          onData?.(chunk)
        })
        res.on('end', () => over(res.complete))
        res.on('error', () => over(false))
      },
    )
    req.on('error', () => over(false))
    req.end(body)
  })
