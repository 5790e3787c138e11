import { request } from 'node:https'
import { GatewayError, messageOf } from '../errors.ts'
import { trustRemedy } from '../tls/trust-remedy.ts'
import { VERSION } from '../version.ts'

/** Longest answer that is read; a chain of certificates takes about 6 KiB. */
const MAX_BYTES = 1_048_576
/** Time for one request, milliseconds. */
const REQUEST_MS = 30_000
/** The longest text of an authority that goes into a message. */
const MAX_TEXT = 300

/** An answer, as the package acme-client wants it. */
export interface AuthorityAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The value of JSON, or the text of anything else. */
  readonly data: unknown
}

/** The refusal of an authority. */
export class AuthorityError extends GatewayError {
  constructor(
    message: string,
    /** Such as `rateLimited`; empty where it did not say. */
    readonly type: string,
    /** The pause that it asks for, milliseconds. */
    readonly retryAfterMs: number | undefined,
  ) {
    super('CERTIFICATE_REFUSED', message)
  }
}

const TYPES = 'urn:ietf:params:acme:error:'
/** A nonce that it does not know any more: the same request with another one will do. */
const BAD_NONCE = 'badNonce'

/** Reads Retry-After (RFC 9110 §10.2.3): seconds, or a date. */
export function retryAfterMs(value: unknown, nowMs: number): number | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - nowMs
  return ms > 0 ? ms : undefined
}

/** Requests to an authority, each with a deadline and a bound; redirects are not followed. */
export class AuthorityHttp {
  constructor(
    private readonly ca: string | undefined,
    private readonly signal: AbortSignal,
    private readonly nowMs: () => number,
  ) {}

  /**
   * Sends one request.
   * @throws AuthorityError for a status that is no success, but for a bad nonce; GatewayError CERTIFICATE_REFUSED where there is no answer
   */
  readonly send = async (url: string, method: string, { data }: { readonly data?: unknown } = {}): Promise<AuthorityAnswer> => {
    const answer = await this.#ask(url, method.toUpperCase(), data === undefined ? undefined : JSON.stringify(data))
    if (answer.status >= 200 && answer.status < 300) return answer
    const { type, detail } = problemOf(answer.data)
    if (answer.status === 400 && type === BAD_NONCE) return answer
    const said = detail === '' ? `status ${answer.status}` : detail
    throw new AuthorityError(`${new URL(url).host}: ${said}`, type, retryAfterMs(answer.headers['retry-after'], this.nowMs()))
  }

  async #ask(url: string, method: string, body: string | undefined): Promise<AuthorityAnswer> {
    const { protocol, host } = new URL(url)
    // Keys and names of an account go there; and other URLs come from the authority itself.
    if (protocol !== 'https:') throw new GatewayError('CERTIFICATE_REFUSED', `${url}: expected an https: URL`)
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(REQUEST_MS)])
    try {
      return await ask(url, method, body, { ca: this.ca, signal })
    } catch (cause) {
      const reason = signal.aborted && !this.signal.aborted ? `no answer within ${REQUEST_MS / 1_000} s` : messageOf(cause)
      const { code } = (cause ?? {}) as { readonly code?: unknown }
      const remedy = trustRemedy(code, { option: '--acme-directory-ca', isGiven: this.ca !== undefined }, cause)
      throw new GatewayError('CERTIFICATE_REFUSED', `${host}: ${reason}${remedy === undefined ? '' : ` (${remedy})`}`, { cause })
    }
  }
}

/** The type and the text of a problem (RFC 9457), as far as it is one. */
export function problemOf(data: unknown): { readonly type: string; readonly detail: string } {
  const { type, detail, subproblems } = (data ?? {}) as {
    readonly type?: unknown
    readonly detail?: unknown
    readonly subproblems?: unknown
  }
  const texts = [detail, ...(Array.isArray(subproblems) ? subproblems.map(each => problemOf(each).detail) : [])]
  return {
    type: typeof type === 'string' ? type.replace(TYPES, '') : '',
    detail: texts
      .filter(text => typeof text === 'string' && text !== '')
      .join('; ')
      .slice(0, MAX_TEXT),
  }
}

function ask(
  url: string,
  method: string,
  body: string | undefined,
  { ca, signal }: { readonly ca: string | undefined; readonly signal: AbortSignal },
): Promise<AuthorityAnswer> {
  return new Promise((resolve, reject) => {
    const headers = {
      'User-Agent': `socket-gateway/${VERSION}`,
      ...(body !== undefined && { 'Content-Type': 'application/jose+json', 'Content-Length': Buffer.byteLength(body) }),
    }
    const sent = request(url, { method, headers, signal, agent: false, ...(ca !== undefined && { ca }) }, response => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > MAX_BYTES) sent.destroy(new Error(`an answer of more than ${MAX_BYTES} bytes`))
        else chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: response.statusCode ?? 0, headers: response.headers, data: parsed(text) })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
