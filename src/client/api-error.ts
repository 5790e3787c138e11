import { ERRORS, GatewayError, type ErrorCode, type Fault } from '../errors.ts'

/** A refusal by the API, in the words of the API. */
export class ApiError extends GatewayError {
  readonly status: number
  /** Under which the operator finds the call in the log; empty: the answer had none. */
  readonly requestId: string
  /** Seconds to wait before the next try. */
  readonly retryAfterS: number | undefined

  constructor(
    code: ErrorCode,
    message: string,
    facts: {
      readonly status: number
      readonly requestId: string
      readonly retryAfterS?: number | undefined
      readonly details: readonly Fault[]
    },
  ) {
    super(code, message, { details: facts.details })
    this.name = 'ApiError'
    this.status = facts.status
    this.requestId = facts.requestId
    this.retryAfterS = facts.retryAfterS
  }
}

/** A complete answer. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
}

/** Longer texts are no message to a person. */
const MAX_TEXT = 2_000
/** Terminal control sequences have no business in a message. */
const printable = (text: string): string => text.slice(0, MAX_TEXT).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Returns the value of a JSON text, undefined for one that is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

const faultsOf = (value: unknown): Fault[] =>
  !Array.isArray(value)
    ? []
    : (value as unknown[])
        .filter(isObject)
        .slice(0, 100)
        .map(({ path, message }) => ({ path: printable(String(path)), message: printable(String(message)) }))

/**
 * Returns the error for an answer that is none of success: in the words of the API where it is one of the API; else SERVICE_UNREACHABLE, which
 * says what has answered instead, such as the gateway while the service process is away.
 * @param call  such as `GET https://api.example.com/api/v1/sockets`
 */
export function errorOfAnswer(answer: Answer, call: string): GatewayError {
  const body = parseJson(answer.body)
  const facts = isObject(body) ? body : {}
  const { error, error_message: text, request_id: id, details } = facts
  if (typeof error === 'string' && typeof text === 'string' && Object.hasOwn(ERRORS, error)) {
    const seconds = Number(answer.headers['retry-after'])
    return new ApiError(error as ErrorCode, printable(text), {
      status: answer.status,
      requestId: typeof id === 'string' ? printable(id) : '',
      retryAfterS: Number.isFinite(seconds) ? seconds : undefined,
      details: faultsOf(details),
    })
  }
  return new GatewayError(
    'SERVICE_UNREACHABLE',
    `${call} was answered with ${answer.status}, and not by the API${strangerOf(answer, facts)}`,
  )
}

function strangerOf({ status, headers }: Answer, facts: Record<string, unknown>): string {
  const { location } = headers
  if (status >= 300 && status < 400 && typeof location === 'string')
    return `; it leads to ${printable(location)}: give the URL of the API itself`
  // problem+json of the outer layer
  if (typeof facts['code'] === 'string') {
    const id = typeof facts['requestId'] === 'string' ? `, request id ${printable(facts['requestId'])}` : ''
    const said = `: the gateway in front of it says ${printable(facts['code'])}${id}`
    return status >= 502 ? `${said}; is its service process running?` : `${said}; is this the host of the API?`
  }
  return '; check the URL of the server'
}
