import { asGatewayError } from '../errors.ts'
import type { Service } from '../service/contract.ts'
import type { AccountAnswer, AccountCredentials, CertificateAnswer, HolderRequest } from '../service-host/ipc.ts'

/** Says whose credentials they are. Never rejects. @param service  undefined: it is not ready yet */
export async function answerWho(
  service: Pick<Service, 'sessions'> | undefined,
  { address, ...credentials }: AccountCredentials,
): Promise<AccountAnswer> {
  if (service === undefined) return { kind: 'away', why: 'the service is starting' }
  try {
    return { kind: 'account', ...(await service.sessions.identify(credentials, address)) }
  } catch (thrown) {
    const { code, message, fields } = asGatewayError(thrown)
    if (code === 'LOGIN_FAILED' || code === 'INVALID') return { kind: 'refused' }
    if (code === 'RATE_LIMITED') return { kind: 'limited', waitS: Number(fields[1] ?? 60) }
    return { kind: 'away', why: message }
  }
}

/** Signs a certificate for somebody. Never rejects. @param service  undefined: it is not ready yet */
export async function answerCertify(
  service: Pick<Service, 'visitorCertificates'> | undefined,
  request: HolderRequest,
): Promise<CertificateAnswer> {
  if (service === undefined) return { kind: 'away', why: 'the service is starting' }
  try {
    return { kind: 'certificate', text: await service.visitorCertificates.certify(request) }
  } catch (thrown) {
    const { code, message } = asGatewayError(thrown)
    return { kind: code === 'KEY_INVALID' || code === 'INVALID' ? 'refused' : 'away', why: message }
  }
}
