import type { IncomingMessage, ServerResponse } from 'node:http'
import { asGatewayError, ERRORS, GatewayError, type ErrorCode } from '../errors.ts'
import { faultOfSender } from '../console/sender.ts'
import { readJsonBody } from '../http/body/read-body.ts'

/** One call of the API of the admin port, beside status, metrics and health. */
export interface AdminCall {
  readonly method: 'GET' | 'POST'
  /** Below `/api/`; `:name` is a part of its own. */
  readonly path: string
  /** Gives the answer; undefined: 204. @throws GatewayError answered with its status and code */
  readonly answer: (facts: CallFacts) => unknown
}

/** The input of a call. */
export interface CallFacts {
  readonly params: ReadonlyMap<string, string>
  readonly query: URLSearchParams
  readonly body: unknown
}

/** Answers a request that is its own. @returns whether it was */
export type RequestAnswerer = (req: IncomingMessage, res: ServerResponse) => boolean

const PREFIX = '/api/'
/** Bytes of a body. */
const MAX_BODY = 65_536

/** Creates what answers the calls, for a port that has let the caller in already. */
export function createCalls(calls: readonly AdminCall[]): RequestAnswerer {
  return (req, res) => {
    const url = req.url ?? ''
    if (!url.startsWith(PREFIX)) return false
    const [path = '', query = ''] = url.slice(PREFIX.length).split('?', 2)
    const reply = (status: number, value: unknown): void => {
      const text = value === undefined ? '' : JSON.stringify(value)
      res.writeHead(status, value === undefined ? {} : { 'Content-Type': 'application/json; charset=utf-8' }).end(text)
    }
    const refuse = (status: number, code: ErrorCode, error_message: string): true => {
      reply(status, { error: code, error_message })
      return true
    }
    const method = req.method === 'HEAD' ? 'GET' : req.method
    if (method !== 'GET') {
      const fault = faultOfSender(req)
      if (fault === 'another site') return refuse(403, 'FORBIDDEN', 'Pages of other origins change nothing here.')
      if (fault === 'another type') return refuse(415, 'INVALID', 'Send the body as Content-Type: application/json.')
    }
    const found = findCall(calls, method, path)
    if (found === undefined) return refuse(404, 'NOT_FOUND', 'There is no such call at this port.')
    readJsonBody(req, MAX_BODY).then(
      async body => {
        try {
          const result: unknown = await found.call.answer({ params: found.params, query: new URLSearchParams(query), body })
          reply(result === undefined ? 204 : 200, result)
        } catch (thrown) {
          const { code, message } = asGatewayError(thrown)
          const { status } = ERRORS[code]
          refuse(status === 0 ? 500 : status, code, message)
        }
      },
      () => res.destroyed || refuse(400, 'INVALID', `The body is not JSON of at most ${MAX_BODY} bytes.`),
    )
    return true
  }
}

function findCall(calls: readonly AdminCall[], method: string | undefined, path: string) {
  const parts = path.split('/')
  for (const call of calls) {
    const wanted = call.path.split('/')
    if (call.method !== method || wanted.length !== parts.length) continue
    if (!wanted.every((part, i) => part.startsWith(':') || part === parts[i])) continue
    const params = wanted.flatMap((part, i) => (part.startsWith(':') ? [[part.slice(1), decoded(parts[i]!)] as const] : []))
    return { call, params: new Map(params) }
  }
  return undefined
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A whole number of a query. @throws GatewayError INVALID */
export function numberIn(query: URLSearchParams, name: string, { usual, max }: { readonly usual: number; readonly max: number }): number {
  const text = query.get(name)
  if (text === null) return usual
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > max) throw new GatewayError('INVALID', `${name}: expected a number from 1 to ${max}`)
  return value
}
