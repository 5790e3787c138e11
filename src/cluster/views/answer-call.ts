import type { IncomingMessage, ServerResponse } from 'node:http'
import { asGatewayError, ERRORS, GatewayError } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'

/** Bytes of a question: that of a request that is sent again has its body. */
const MAX_QUESTION_BYTES = 16_777_216

/** Answers another node with JSON. @param answer  gets the question. @returns true, for whoever asks answerers in turn */
export function answerCall(
  request: IncomingMessage,
  response: ServerResponse,
  onFault: (thrown: unknown) => void,
  answer: (question: unknown) => unknown,
): true {
  const reply = (status: number, value: unknown): void => {
    if (response.destroyed) return
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  readQuestion(request)
    .then(answer)
    .then(value => reply(200, value ?? null))
    .catch((thrown: unknown) => {
      if (!(thrown instanceof GatewayError)) onFault(thrown)
      const { code, message } = asGatewayError(thrown)
      reply(ERRORS[code].status || 500, { error: code, error_message: message })
    })
  return true
}

/** Reads what another node asks; undefined: it has not sent anything. @throws GatewayError INVALID, BODY_TOO_LARGE, CANCELLED, as a rejection */
export function readQuestion(request: IncomingMessage): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let length = 0
    const fail = (thrown: unknown): void =>
      reject(thrown instanceof GatewayError ? thrown : new GatewayError('INVALID', 'a question that is no JSON'))
    request.on(
      'data',
      guarded(fail, (piece: Buffer) => {
        length += piece.length
        if (length <= MAX_QUESTION_BYTES) return void pieces.push(piece)
        pieces.length = 0
        fail(new GatewayError('BODY_TOO_LARGE', `a question of more than ${MAX_QUESTION_BYTES} bytes`))
      }),
    )
    request.on(
      'end',
      guarded(fail, () => resolve(length === 0 ? undefined : (JSON.parse(Buffer.concat(pieces).toString()) as unknown))),
    )
    request.on('error', () => fail(new GatewayError('CANCELLED', 'the node has left')))
    request.on('close', () => fail(new GatewayError('CANCELLED', 'the node has left')))
  })
}
