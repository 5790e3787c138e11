import type { IncomingMessage, ServerResponse } from 'node:http'
import { asGatewayError, ERRORS, GatewayError } from '../../errors.ts'
import { readJsonBody } from '../../http/body/read-body.ts'

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
export const readQuestion = (request: IncomingMessage): Promise<unknown> => readJsonBody(request, MAX_QUESTION_BYTES)
