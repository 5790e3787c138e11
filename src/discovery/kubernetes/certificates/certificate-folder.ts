import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, messageOf } from '../../../errors.ts'
import { readIfAny } from '../../../files/change-file.ts'
import { replaceFile } from '../../../files/replace-file.ts'
import type { SecretPair } from './secrets.ts'

/** Names of our files begin with it: no others are changed or removed. */
const PREFIX = 'k8s.'
const OWNER_ONLY = 0o700

/** The names that a pair has as files; namespaces have no dots, so no two are the same. */
const fileOf = ({ namespace, name }: SecretPair): string => `${PREFIX}${namespace}.${name}`

/** A folder of certificates, each `NAME.crt` with its `NAME.key`, as `--tls-certificate` of a layer follows it. */
export class CertificateFolder {
  constructor(private readonly folder: string) {}

  /** Makes it hold these, readable by the owner only, and none of those before. @throws GatewayError FILE_UNREADABLE */
  async write(pairs: readonly SecretPair[]): Promise<void> {
    try {
      await mkdir(this.folder, { recursive: true, mode: OWNER_ONLY })
      const wanted = new Set(pairs.map(fileOf))
      // A certificate without its key would be a fault, a key without its certificate is none: it goes last, and comes first.
      const others = (await readdir(this.folder)).filter(file => {
        const [, name] = /^(k8s\..+)\.(?:crt|key)$/.exec(file) ?? []
        return name !== undefined && !wanted.has(name)
      })
      for (const file of others.sort()) await rm(join(this.folder, file), { force: true })
      for (const pair of pairs) {
        const path = join(this.folder, fileOf(pair))
        await this.#put(`${path}.key`, pair.key)
        await this.#put(`${path}.crt`, pair.cert)
      }
    } catch (cause) {
      throw new GatewayError('FILE_UNREADABLE', `--certificate-folder ${this.folder}: ${messageOf(cause)}`, { cause })
    }
  }

  async #put(file: string, text: string): Promise<void> {
    if ((await readIfAny(file)) !== text) await replaceFile(file, text)
  }
}
