import type { AdminCall } from '../../admin/calls.ts'
import { ERRORS, GatewayError, type ErrorCode } from '../../errors.ts'
import type { OperatorAnswer, OperatorRequest } from '../../service-host/ipc.ts'

const isCode = (text: string): text is ErrorCode => Object.hasOwn(ERRORS, text)

/** Makes the calls of the admin port about accounts of the service. @param operate  asks the service process; never rejects */
export function accountCalls(operate: (request: OperatorRequest) => Promise<OperatorAnswer>): readonly AdminCall[] {
  /** @throws GatewayError as the service has refused it, SERVICE_AWAY */
  const ask = async (request: OperatorRequest): Promise<unknown> => {
    const answer = await operate(request)
    if (answer.kind === 'done') return answer.value
    throw new GatewayError(answer.kind === 'refused' && isCode(answer.code) ? answer.code : 'SERVICE_AWAY', answer.why)
  }
  const list = (kind: 'accounts' | 'audit'): AdminCall => ({
    method: 'GET',
    path: kind,
    answer: ({ query }) => ask({ kind, cursor: query.get('cursor') ?? undefined }),
  })
  const act = (kind: 'suspend' | 'resume'): AdminCall => ({
    method: 'POST',
    path: `accounts/:id/${kind}`,
    answer: ({ params }) => ask({ kind, accountId: params.get('id') ?? '' }),
  })
  return [list('accounts'), list('audit'), act('suspend'), act('resume')]
}
