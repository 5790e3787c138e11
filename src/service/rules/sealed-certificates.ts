import type { Store } from '../../store/store.ts'
import { certificatePlace } from '../core/secrets.ts'
import type { SealingKey } from '../proofs/sealed.ts'
import type { ServerCertificate, ServerCertificates } from '../server-certificates.ts'

/** Certificates of hosts in the database, each sealed for its name. */
export class SealedCertificates implements ServerCertificates {
  constructor(
    private readonly store: Store,
    private readonly sealing: SealingKey,
  ) {}

  async find(name: string): Promise<ServerCertificate | undefined> {
    const row = await this.store.db.selectFrom('server_certificates').select('sealed').where('name', '=', name).executeTakeFirst()
    if (row === undefined) return undefined
    const { cert, key } = JSON.parse(this.sealing.open(row.sealed, certificatePlace(name)).toString('utf8')) as ServerCertificate
    return { cert, key }
  }

  async keep(name: string, { cert, key }: ServerCertificate, expiresAt: number): Promise<void> {
    const sealed = this.sealing.seal(Buffer.from(JSON.stringify({ cert, key })), certificatePlace(name))
    await this.store.db
      .insertInto('server_certificates')
      .values({ name, sealed, expires_at: expiresAt })
      .onConflict(conflict => conflict.column('name').doUpdateSet({ sealed, expires_at: expiresAt }))
      .execute()
  }
}
