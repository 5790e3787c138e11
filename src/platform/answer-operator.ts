import { accountView, auditEntryView, pageView } from '../api/views.ts'
import { asGatewayError } from '../errors.ts'
import type { Service } from '../service/contract.ts'
import type { Actor } from '../service/model.ts'
import type { OperatorAnswer, OperatorRequest } from '../service-host/ipc.ts'

/** Whoever is at the admin port of the outer layer: it is their machine, and they have no account. */
const OPERATOR: Actor = Object.freeze({ accountId: 'operator', role: 'admin', scopes: undefined, kind: 'session', address: '' })

/** Answers what an operator asks at the admin port. Never rejects. @param service  undefined: it is not ready yet */
export async function answerOperator(
  service: Pick<Service, 'accounts' | 'audit'> | undefined,
  request: OperatorRequest,
): Promise<OperatorAnswer> {
  if (service === undefined) return { kind: 'away', why: 'the service is starting' }
  try {
    return { kind: 'done', value: await valueOf(service, request) }
  } catch (thrown) {
    const { code, message } = asGatewayError(thrown)
    return { kind: 'refused', code, why: message }
  }
}

async function valueOf({ accounts, audit }: Pick<Service, 'accounts' | 'audit'>, request: OperatorRequest): Promise<unknown> {
  const page = { limit: 100, ...('cursor' in request && request.cursor !== undefined && { cursor: request.cursor }) }
  switch (request.kind) {
    case 'accounts':
      return pageView(await accounts.list(OPERATOR, page), accountView)
    case 'audit':
      return pageView(await audit.list(OPERATOR, page), auditEntryView)
    case 'suspend':
      return accountView(await accounts.suspend(OPERATOR, request.accountId))
    case 'resume':
      return accountView(await accounts.resume(OPERATOR, request.accountId))
  }
}
