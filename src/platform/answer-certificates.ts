import { messageOf } from '../errors.ts'
import type { Service } from '../service/contract.ts'
import type { CertificatesAnswer, CertificatesRequest } from '../service-host/kept-certificates.ts'

/** Finds and keeps certificates of hosts. Never rejects. @param service  undefined: it is not ready yet */
export async function answerCertificates(
  service: Pick<Service, 'serverCertificates'> | undefined,
  request: CertificatesRequest,
): Promise<CertificatesAnswer> {
  if (service === undefined) return { kind: 'away', why: 'the service is starting' }
  try {
    const { serverCertificates } = service
    if (request.kind === 'find') {
      const found = await serverCertificates.find(request.name)
      return found === undefined ? { kind: 'none' } : { kind: 'found', ...found }
    }
    await serverCertificates.keep(request.name, request, request.expiresAt)
    return { kind: 'kept' }
  } catch (thrown) {
    return { kind: 'away', why: messageOf(thrown) }
  }
}
