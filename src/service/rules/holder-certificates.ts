/** Certificates of people whom the data plane lets in at a socket, for programs that show one: TLS and SSH. */
import { createHash } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { readCertificateRequest } from '../../identity/certificate-request.ts'
import type { ServiceClock } from '../core/clock.ts'
import { MINUTE_MS } from '../core/clock.ts'
import type { Secrets } from '../core/secrets.ts'
import type { HolderRequest, VisitorCertificates } from '../contract.ts'
import { authorityBlob, signCertificate } from '../ssh-keys/certificate.ts'
import { parsePublicKey } from '../ssh-keys/public-key.ts'

/** The clock of who looks at it may be behind. */
const BACKDATE_MS = 5 * MINUTE_MS
/** RFC 5280 appendix A.1, ub-common-name. */
const MAX_COMMON_NAME = 64
/** The principal of each certificate of SSH that servers of MySocket's clients ask for. Never a part of an address: anybody may be root@ somewhere. */
const PRINCIPAL = 'mysocket_ssh_signed'

/** Signs for visitors. The authorities stay in this process, and what it is asked to sign is decided on where sessions are known. */
export class HolderCertificates implements VisitorCertificates {
  constructor(
    private readonly secrets: Secrets,
    private readonly clock: ServiceClock,
  ) {}

  async certify(request: HolderRequest): Promise<string> {
    if (request.validUntil <= this.clock.now()) throw new GatewayError('INVALID', 'the time of this certificate is over')
    return request.kind === 'tls' ? this.#forTls(request) : this.#forSsh(request)
  }

  async authorities(): Promise<string> {
    return (await this.secrets.authorities()).map(({ certificate }) => certificate.toString()).join('')
  }

  async sshAuthority(): Promise<string> {
    const [{ key }] = await this.secrets.private('visitor-ssh-ca')
    return `ssh-ed25519 ${authorityBlob(key).toString('base64')} visitors`
  }

  async #forTls({ text, who, names, validUntil }: HolderRequest): Promise<string> {
    const publicKey = readCertificateRequest(text)
    const [issuer] = await this.secrets.authorities()
    const { certifyClient } = await import('../../identity/certificate.ts')
    return certifyClient(
      {
        publicKey,
        commonName: who.slice(0, MAX_COMMON_NAME),
        names,
        notBefore: new Date(this.clock.now() - BACKDATE_MS),
        notAfter: new Date(validUntil),
      },
      issuer,
    )
  }

  async #forSsh({ text, who, names, validUntil }: HolderRequest): Promise<string> {
    const key = parsePublicKey(text, 'ssh_public_key')
    const now = this.clock.now()
    const [{ key: authority }] = await this.secrets.private('visitor-ssh-ca')
    return signCertificate(authority, {
      key,
      // Addresses alone: a name that somebody has chosen may be root.
      principals: [PRINCIPAL, ...names.filter(name => name.includes('@'))],
      keyId: who,
      validFrom: now - BACKDATE_MS,
      validUntil,
      serial: createHash('sha256').update(`${who} ${now} ${key.fingerprint}`).digest().readBigUInt64BE() >> 1n,
    })
  }
}
