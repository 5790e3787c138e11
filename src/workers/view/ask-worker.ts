import { request } from 'node:http'
import { ERRORS, GatewayError, type ErrorCode } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'

/** A worker that does not answer in this time is left out of what is shown, milliseconds. */
const TIMEOUT_MS = 5_000
const MAX_BYTES = 64 * 1024 * 1024

/** A request to the admin socket of a worker. */
export interface WorkerQuestion {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: unknown
}

/** Asks a worker at its socket. @returns what it answers, as JSON; undefined for no content @throws GatewayError with the code of its answer; ADMIN_FAILED without one */
export function askWorker(socketPath: string, { method = 'GET', path, body }: WorkerQuestion): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => reject(new GatewayError('ADMIN_FAILED', 'a worker has not answered', { cause }))
    const headers = { host: 'localhost', ...(method === 'POST' && { 'content-type': 'application/json' }) }
    const asked = request({ socketPath, method, path, headers, agent: false, timeout: TIMEOUT_MS })
    asked.on('error', fail)
    asked.on(
      'timeout',
      guarded(fail, () => void asked.destroy(new Error('no answer in time'))),
    )
    asked.on(
      'response',
      guarded(fail, answer => {
        const pieces: Buffer[] = []
        let length = 0
        answer.on(
          'data',
          guarded(fail, (piece: Buffer) => {
            length += piece.length
            if (length > MAX_BYTES) asked.destroy(new Error('too long an answer'))
            else pieces.push(piece)
          }),
        )
        const ended = (): void => {
          const text = Buffer.concat(pieces).toString()
          const value: unknown = text === '' ? undefined : JSON.parse(text)
          if ((answer.statusCode ?? 500) < 300) return resolve(value)
          const { error, error_message: message } = (value ?? {}) as { readonly error?: string; readonly error_message?: string }
          const code = error !== undefined && Object.hasOwn(ERRORS, error) ? (error as ErrorCode) : 'ADMIN_FAILED'
          reject(new GatewayError(code, message ?? `a worker has answered ${String(answer.statusCode)}`))
        }
        answer.on('end', guarded(fail, ended))
        answer.on('error', fail)
      }),
    )
    asked.end(method === 'POST' ? JSON.stringify(body ?? {}) : undefined)
  })
}
