import { adviceFor } from './advice.ts'

/** A call that failed: its code, what happened, and what to do about it. */
export class ApiFault extends Error {
  override readonly name = 'ApiFault'

  constructor(
    readonly code: string,
    what: string,
    readonly todo: string,
    readonly status = 0,
    readonly requestId?: string,
    readonly details: readonly { readonly path: string; readonly message: string }[] = [],
  ) {
    super(what)
  }
}

/** Options of a call. */
export interface CallOptions {
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

interface ErrorBody {
  /** The code, or an object with code and message: the inspector has it so. */
  readonly error?: unknown
  readonly code?: unknown
  readonly error_message?: unknown
  readonly message?: unknown
  readonly request_id?: string
  readonly details?: readonly { readonly path: string; readonly message: string }[]
}

const TIMEOUT_MS = 15_000

/**
 * Calls the API of the port that served the page.
 * @param path  relative to the page, such as `api/minutes`
 * @throws ApiFault whatever goes wrong
 */
export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  const response = await send(method, path, options)
  if (response.status === 204) return undefined as T
  const type = response.headers.get('content-type') ?? ''
  return (type.includes('json') ? await response.json() : await response.text()) as T
}

/** The same, with the answer as it comes. @throws ApiFault */
export async function send(method: string, path: string, { body, signal, headers = {}, timeoutMs = TIMEOUT_MS }: CallOptions = {}) {
  const signals = [...(signal === undefined ? [] : [signal]), ...(timeoutMs > 0 ? [AbortSignal.timeout(timeoutMs)] : [])]
  let response: Response
  try {
    response = await fetch(path, {
      method,
      headers: {
        accept: 'application/json',
        // No page of another origin can send this without being asked first, which is refused.
        ...(method !== 'GET' && { 'content-type': 'application/json', 'x-requested-with': 'console' }),
        ...headers,
      },
      ...(method !== 'GET' && { body: JSON.stringify(body ?? {}) }),
      signal: AbortSignal.any(signals),
      credentials: 'same-origin',
    })
  } catch (error) {
    if (signal?.aborted === true) throw error
    const isLate = error instanceof DOMException && error.name === 'TimeoutError'
    throw new ApiFault(
      isLate ? 'NO_ANSWER' : 'NOT_REACHED',
      isLate ? `No answer within ${timeoutMs / 1000} s` : 'The gateway does not answer',
      adviceFor(isLate ? 'NO_ANSWER' : 'NOT_REACHED', 0),
    )
  }
  if (response.ok) return response
  throw await faultOf(response)
}

async function faultOf(response: Response): Promise<ApiFault> {
  const { status } = response
  const text = await response.text().catch(() => '')
  let body: ErrorBody = {}
  try {
    const parsed = JSON.parse(text) as ErrorBody
    const { error } = parsed
    body = typeof error === 'object' && error !== null ? { ...error, error: (error as ErrorBody).code } : parsed
  } catch {
    // A proxy in between answers with what it likes.
  }
  const code = typeof body.error === 'string' ? body.error : typeof body.code === 'string' ? body.code : `HTTP_${status}`
  const message = [body.error_message, body.message].find((value): value is string => typeof value === 'string')
  const wait = response.headers.get('retry-after')
  const todo = adviceFor(code, status) + (wait === null ? '' : ` It says: again after ${wait} s.`)
  const id = body.request_id ?? response.headers.get('x-request-id') ?? undefined
  return new ApiFault(
    code,
    message ?? (text.length > 0 && text.length < 300 ? text.trim() : `HTTP ${status}`),
    todo,
    status,
    id,
    body.details,
  )
}

/** Any error as a fault, so that every page can show it. */
export const asFault = (error: unknown): ApiFault =>
  error instanceof ApiFault ? error : new ApiFault('PAGE', error instanceof Error ? error.message : String(error), 'Reload the page.')
