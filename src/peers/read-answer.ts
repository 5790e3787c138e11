import type { ClientRequest, IncomingMessage } from 'node:http'
import { ERRORS, GatewayError, type ErrorCode } from '../errors.ts'
import { guarded } from '../net/guard.ts'

/** Reads the answer to a call. @returns its JSON; undefined for no content @throws GatewayError as a rejection */
export function readAnswer(
  asked: ClientRequest,
  { withinMs, maxBytes }: { readonly withinMs: number; readonly maxBytes: number },
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const give = (code: ErrorCode, why: string): void => {
      clearTimeout(timer)
      reject(new GatewayError(code, why))
      asked.destroy()
    }
    const fail = (): void => give('INTERNAL', 'its answer could not be read')
    const late = guarded(fail, () => give('REFUSED_STREAM', `it has not answered within ${withinMs / 1_000} s`))
    const timer = setTimeout(late, withinMs).unref()
    asked.on('error', () => give('REFUSED_STREAM', 'the link to it was lost, or there is none'))
    asked.on(
      'response',
      guarded(fail, (answer: IncomingMessage) => {
        const pieces: Buffer[] = []
        let length = 0
        answer.on(
          'data',
          guarded(fail, (piece: Buffer) => {
            length += piece.length
            if (length > maxBytes) give('BODY_TOO_LARGE', `its answer has more than ${maxBytes} bytes`)
            else pieces.push(piece)
          }),
        )
        answer.on('error', () => give('REFUSED_STREAM', 'the link to it was lost'))
        const ended = (): void => {
          clearTimeout(timer)
          const text = Buffer.concat(pieces).toString()
          const value: unknown = text === '' ? undefined : JSON.parse(text)
          if ((answer.statusCode ?? 500) < 300) return resolve(value)
          reject(errorIn(value, answer.statusCode))
        }
        answer.on('end', guarded(fail, ended))
      }),
    )
  })
}

/** The error of an answer, in either of the two shapes that our own APIs have. */
function errorIn(value: unknown, status = 0): GatewayError {
  const { error, error_message: text } = recordOf(value)
  const { code = error, message = text } = recordOf(error)
  const known = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'INTERNAL'
  return new GatewayError(known, typeof message === 'string' ? message : `it has answered ${status}`)
}

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
