import { ERRORS, GatewayError, messageOf, type ErrorCode } from '../../errors.ts'
import type { ValuesOf } from '../command/option.ts'
import { readPasswordFile } from '../options/admin.ts'
import type { requestsOptions } from '../options/requests.ts'
import type { MessageInfo, RequestDetail, RequestSummary } from '../../inspector/record.ts'
import type { BodyBytes, ReplayResult, RequestSource } from './request-source.ts'

const TIMEOUT_MS = 10_000
const REPLAY_MS = 600_000

/** Requests of an inspector. */
export class InspectorClient implements RequestSource {
  private constructor(
    private readonly base: string,
    private readonly password: string | undefined,
  ) {}

  /** @throws GatewayError FILE_UNREADABLE, KEY_INVALID for the file of the password */
  static async of(values: Pick<ValuesOf<typeof requestsOptions>, 'inspector' | 'password-file'>): Promise<InspectorClient> {
    const file = values['password-file']
    return new InspectorClient(values.inspector, file === undefined ? undefined : await readPasswordFile(file, '--password-file'))
  }

  async list(filter: string | undefined, limit: number): Promise<readonly RequestSummary[]> {
    return (await this.#json<{ readonly items: readonly RequestSummary[] }>(`requests?${queryOf({ limit, filter })}`)).items
  }

  async follow(filter: string | undefined, signal: AbortSignal): Promise<AsyncIterable<RequestSummary>> {
    const { body } = await this.#call(`requests/stream?${queryOf({ filter })}`, { signal })
    return changedIn(body!)
  }

  detail(id: string): Promise<RequestDetail> {
    return this.#json(pathOf(id))
  }

  async messages(id: string): Promise<readonly MessageInfo[]> {
    return (await this.#json<{ readonly items: readonly MessageInfo[] }>(`${pathOf(id)}/messages?limit=1000`)).items
  }

  async body(id: string, side: 'request' | 'response'): Promise<BodyBytes> {
    const answer = await this.#call(`${pathOf(id)}/${side}-body`)
    const isText = /^(?:text|application\/json)/.test(answer.headers.get('content-type') ?? '')
    return { bytes: Buffer.from(await answer.arrayBuffer()), isText }
  }

  async copy(id: string, form: string): Promise<string> {
    return (await this.#call(`${pathOf(id)}/copy?as=${form}`)).text()
  }

  async replay(id: string, edits: object): Promise<readonly ReplayResult[]> {
    const answer = await this.#call(`${pathOf(id)}/replay`, { body: edits })
    return ((await answer.json()) as { readonly results: readonly ReplayResult[] }).results
  }

  async har(filter: string | undefined): Promise<string> {
    return (await this.#call(`har?${queryOf({ limit: 1_000, filter })}`)).text()
  }

  /** The answer of a call. @throws GatewayError ADMIN_FAILED when there is none, or what the inspector says */
  async #call(path: string, { body, signal }: { readonly body?: unknown; readonly signal?: AbortSignal } = {}): Promise<Response> {
    const url = new URL(`inspector/${path}`, this.base)
    const { password } = this
    const response = await fetch(url, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: {
        accept: 'application/json, application/x-ndjson',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(password !== undefined && { authorization: `Basic ${Buffer.from(`operator:${password}`).toString('base64')}` }),
      },
      redirect: 'manual',
      signal: signal ?? AbortSignal.timeout(body === undefined ? TIMEOUT_MS : REPLAY_MS),
    }).catch((thrown: unknown) => {
      throw new GatewayError(
        'ADMIN_FAILED',
        `nothing answers at ${this.base}: ${causeOf(thrown)}; start "http", "connect" or "inner-layer" with --inspect, or name the admin port of an outer layer with --inspector`,
        { cause: thrown },
      )
    })
    if (!response.ok) throw await faultOf(response, this.base)
    return response
  }

  async #json<T>(path: string): Promise<T> {
    return (await (await this.#call(path)).json()) as T
  }
}

const pathOf = (id: string): string => `requests/${encodeURIComponent(id)}`

function queryOf({ limit, filter }: { readonly limit?: number; readonly filter: string | undefined }): string {
  return new URLSearchParams({ ...(limit !== undefined && { limit: String(limit) }), ...(filter !== undefined && { filter }) }).toString()
}

async function* changedIn(body: AsyncIterable<Uint8Array>): AsyncGenerator<RequestSummary> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const { type, request } = (line === '' ? {} : JSON.parse(line)) as { readonly type?: string; readonly request?: RequestSummary }
      if (type === 'request' && request !== undefined) yield request
    }
  }
}

function causeOf(thrown: unknown): string {
  const { cause } = thrown as { readonly cause?: unknown }
  return messageOf(cause ?? thrown)
}

async function faultOf(response: Response, base: string): Promise<GatewayError> {
  const text = await response.text().catch(() => '')
  if (response.status === 401) return new GatewayError('ADMIN_FAILED', `${base} asks for another password: --password-file FILE`)
  try {
    const { error } = JSON.parse(text) as { readonly error: { readonly code: string; readonly message: string } }
    if (Object.hasOwn(ERRORS, error.code)) return new GatewayError(error.code as ErrorCode, error.message)
  } catch {
    // Not of an inspector.
  }
  return new GatewayError('ADMIN_FAILED', `${base} has no inspector: it answered ${response.status}; was the layer started with --inspect?`)
}
