import { AuthorityHttp } from '../../acme/authority-http.ts'
import { DEFAULT_DIRECTORY } from '../../acme/acme-options.ts'
import { readAttempts } from '../../acme/attempts.ts'
import { CertificateFolder } from '../../acme/certificate-folder.ts'
import { messageOf } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { acmeFolderOf } from '../acme/acme-files.ts'
import { fail, ok, warn, type Finding } from './finding.ts'

/** The options of orders. */
export interface AcmeSetup {
  readonly acme?: string | undefined
  readonly state?: string | undefined
  readonly 'acme-path'?: string | undefined
  readonly 'acme-directory'?: string | undefined
  readonly 'acme-directory-ca'?: string | undefined
  readonly 'acme-eab-kid'?: string | undefined
}

const CHECK = 'ACME'
const TIMEOUT_MS = 10_000

/** The folder with ordered certificates, where there are any; nothing is made to find out. */
export async function orderedCertificates(values: AcmeSetup): Promise<string | undefined> {
  if (values.acme === undefined) return undefined
  const folder = new CertificateFolder(acmeFolderOf(values))
  const certificates = await folder.read().catch(() => new Map())
  return certificates.size === 0 ? undefined : folder.certificates
}

/** Does the authority answer, and which orders have failed? */
export async function* checkAcme(values: AcmeSetup): AsyncGenerator<Finding> {
  if (values.acme === undefined) return
  yield await checkAuthority(values)
  const folder = acmeFolderOf(values)
  const certificates = await new CertificateFolder(folder).read().catch(() => new Map<string, string>())
  if (certificates.size === 0) yield ok(CHECK, `no certificate in ${folder} yet; they are ordered when the outer layer runs`)
  for (const [name, { count, reason, nextMs }] of await readAttempts(folder)) {
    const times = count === 1 ? 'an order has failed' : `${count} orders have failed`
    const detail = `${name}: ${times}: ${reason}; next attempt ${new Date(nextMs).toISOString()}`
    const remedy = 'the name has to lead to the outer layer, to port 80 for http-01, to port 443 for tls-alpn-01'
    yield certificates.has(name) ? warn(CHECK, `${detail}; the last certificate is in force`, remedy) : fail(CHECK, detail, remedy)
  }
}

async function checkAuthority(values: AcmeSetup): Promise<Finding> {
  const { 'acme-directory': directory = DEFAULT_DIRECTORY, 'acme-directory-ca': caFile, 'acme-eab-kid': kid } = values
  const { host } = new URL(directory)
  try {
    const ca = caFile === undefined ? undefined : await readCertificates(caFile)
    const { data } = await new AuthorityHttp(ca, AbortSignal.timeout(TIMEOUT_MS), Date.now).send(directory, 'get')
    const { newOrder, meta } = (data ?? {}) as {
      readonly newOrder?: unknown
      readonly meta?: { readonly externalAccountRequired?: unknown }
    }
    if (typeof newOrder !== 'string') return fail(CHECK, `${directory} is no directory of ACME`, 'correct --acme-directory')
    if (meta?.externalAccountRequired === true && kid === undefined)
      return fail(CHECK, `${host} takes accounts that it knows only`, 'make one there, and give --acme-eab-kid and --acme-eab-key')
    return ok(CHECK, `${host} answers`)
  } catch (error) {
    return fail(CHECK, messageOf(error), 'the outer layer has to reach it by HTTPS; --acme-directory-ca names a private authority')
  }
}
