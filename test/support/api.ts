/** An API on a free port, over a service in memory. */
import { createServer, request } from 'node:http'
import { createApi } from '../../src/api/api.ts'
import type { ApiOptions } from '../../src/api/api-options.ts'
import { silentLog, type Log } from '../../src/telemetry/log.ts'
import { listen } from './ports.ts'
import { createStandIn, type StandIn } from './service-stand-in.ts'

export interface RunningApi extends StandIn {
  readonly url: string
  /** Sends a request of the new dialect. */
  v1(method: string, path: string, options?: RequestOptions): Promise<ApiAnswer>
  /** Sends a request of the old dialect. */
  old(method: string, path: string, options?: RequestOptions): Promise<ApiAnswer>
}

interface RequestOptions {
  /** Default: that of Ada; null: none. */
  readonly token?: string | null
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is. */
  readonly raw?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Undefined for what is no JSON. */
  readonly json: unknown
}

/** Starts one; it ends with the test file. */
export async function startApi(options: Partial<ApiOptions> = {}): Promise<RunningApi> {
  const standIn = createStandIn()
  const log: Log = options.log ?? silentLog
  const server = createServer(createApi({ service: standIn.service, isBehindGateway: true, ...options, log }))
  const url = `http://127.0.0.1:${await listen(server)}`
  const send = async (method: string, path: string, fields: Record<string, string>, options: RequestOptions): Promise<ApiAnswer> => {
    const { body, raw, headers } = options
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const answer = await exchange(
      `${url}${path}`,
      method,
      {
        ...(content !== undefined && { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(content)) }),
        ...fields,
        ...headers,
      },
      content,
    )
    const { text } = answer
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      // undefined
    }
    return { ...answer, json }
  }
  return Object.assign(standIn, {
    url,
    v1: (method: string, path: string, { token = 'ada', ...options }: RequestOptions = {}) =>
      send(method, `/api/v1${path}`, token === null ? {} : { Authorization: `Bearer ${token}` }, options),
    old: (method: string, path: string, { token = 'ada', ...options }: RequestOptions = {}) =>
      send(method, path, token === null ? {} : { 'x-access-token': token }, options),
  })
}

/** One request; fetch refuses a body with GET, which the old client sends. */
const exchange = (
  url: string,
  method: string,
  headers: Record<string, string>,
  content: string | undefined,
): Promise<Omit<ApiAnswer, 'json'>> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: new Headers(response.headers as Record<string, string>), text }),
      )
    })
    sent.on('error', reject)
    sent.end(content)
  })
