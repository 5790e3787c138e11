import type { IncomingMessage, ServerResponse } from 'node:http'
import { ERRORS, GatewayError } from '../../errors.ts'

/** One call of the API and the way to answer it. */
export interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
}

const HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  // For the bytes that strangers have sent: whatever they are, they do nothing here.
  'Content-Security-Policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
} as const

/** Writes the head that all answers share. */
export function replyHead({ response }: Call, status: number, headers: Readonly<Record<string, string>>): void {
  response.writeHead(status, { ...HEADERS, ...headers })
}

/** Answers with JSON. */
export function replyJson(call: Call, value: unknown, status = 200): void {
  const body = `${JSON.stringify(value)}\n`
  replyHead(call, status, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': String(Buffer.byteLength(body)) })
  call.response.end(call.request.method === 'HEAD' ? undefined : body)
}

/** Answers that it is done. */
export function replyDone(call: Call): void {
  replyHead(call, 204, {})
  call.response.end()
}

/** Answers with a fault. @param more  members beside it */
export function replyError(call: Call, thrown: unknown, more: object = {}): void {
  const error = thrown instanceof GatewayError ? thrown : new GatewayError('INTERNAL', 'the call failed')
  const status = ERRORS[error.code].status || 500
  if (call.response.headersSent) return void call.response.destroy()
  replyJson(call, { error: { code: error.code, message: error.message }, ...more }, status)
}
