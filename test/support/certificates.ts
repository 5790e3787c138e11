/** Certificates of servers and authorities as files, minted once where that is enough. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mintKeyPair, type Issuer, type MintedPair, type MintOptions } from '../../src/identity/certificate.ts'
import { onCleanUp } from './cleanup.ts'
import { tempDir } from './temp.ts'
import { CertificateStore, type CertificateStoreOptions } from '../../src/tls/certificate-store.ts'

/** The two files of a pair. */
export interface PairFiles {
  readonly certificate: string
  readonly key: string
  readonly pair: MintedPair
}

/** A fresh authority that lasts a year. */
export const mintAuthority = (): Promise<MintedPair> => mintKeyPair({ type: 'ec', commonName: 'test CA', validityYears: 1, purpose: 'ca' })

/** What `mintKeyPair` signs with. */
export const issuerOf = (pair: MintedPair): Issuer => ({
  certificate: new X509Certificate(pair.certificatePem),
  key: createPrivateKey(pair.privateKeyPem),
})

/** A fresh pair of a server with these names, signed by itself or by `authority`. */
export const mintServer = (names: readonly string[], authority?: MintedPair, more: Partial<MintOptions> = {}): Promise<MintedPair> =>
  mintKeyPair({
    type: 'ec',
    commonName: names[0] ?? 'server',
    validityYears: 1,
    purpose: 'server',
    names,
    ...(authority !== undefined && { issuer: issuerOf(authority) }),
    ...more,
  })

/** Writes `NAME.crt` and `NAME.key` (0600). */
export const writePair = (pair: MintedPair, name = 'server', directory = tempDir()): PairFiles => {
  const [certificate, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  writeFileSync(key, pair.privateKeyPem, { mode: 0o600 })
  chmodSync(key, 0o600)
  writeFileSync(certificate, pair.certificatePem)
  return { certificate, key, pair }
}

/** A started store over these pairs; closed after the test file. */
export const startStore = async (
  files: readonly PairFiles[],
  options: Partial<CertificateStoreOptions> = {},
): Promise<CertificateStore> => {
  const store = new CertificateStore({
    certificates: files.map(({ certificate }) => certificate),
    keys: files.map(({ key }) => key),
    pollMs: 20,
    ...options,
  })
  await store.start()
  onCleanUp(() => store.close())
  return store
}
