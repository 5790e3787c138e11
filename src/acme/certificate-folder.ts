import { createPrivateKey, X509Certificate } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, messageOf } from '../errors.ts'
import { mintKeyPair } from '../identity/certificate.ts'
import { mintKey, type IssuedPair } from './authority.ts'
import { lifetimeOf } from './renewal.ts'
import { replaceFile } from '../files/replace-file.ts'
import { PLACEHOLDER } from '../tls/placeholder.ts'

const FOLDER_MODE = 0o700
const CERTIFICATE = '.crt'
const KEY = '.key'

/** `*` is a letter that shells and people trip over; no host begins with this one. */
const fileOf = (name: string): string => name.replace(/^\*\./, '_wildcard.')
const nameOf = (file: string): string => file.slice(0, -CERTIFICATE.length).replace(/^_wildcard\./, '*.')

/**
 * The folder in which certificates are kept, each as `NAME.crt` and `NAME.key`, as a store of certificates reads a folder; beside it, the key of the
 * account. Everything is for its owner only.
 */
export class CertificateFolder {
  /** The one with the certificates in it. */
  readonly certificates: string
  readonly #account: string

  constructor(readonly path: string) {
    this.certificates = join(path, 'certificates')
    this.#account = join(path, 'account.key')
  }

  /**
   * Makes what is not there yet.
   * @param needsPlaceholder  the port has no other certificate, and cannot be opened without any
   * @param nowMs             milliseconds since 1970: what has expired opens no port
   * @throws GatewayError FILE_UNREADABLE
   */
  async open(needsPlaceholder: boolean, nowMs: number): Promise<void> {
    await this.#trying(this.path, async () => {
      await mkdir(this.certificates, { recursive: true, mode: FOLDER_MODE })
      await chmod(this.path, FOLDER_MODE)
      const usable = [...(await this.read()).values()].some(cert => {
        const { notBeforeMs, notAfterMs } = lifetimeOf(cert)
        return notBeforeMs <= nowMs && nowMs < notAfterMs
      })
      if (needsPlaceholder && !usable) await this.write(PLACEHOLDER, await mintPlaceholder())
    })
  }

  /** PEM of the key of the account; made where there is none. @throws GatewayError FILE_UNREADABLE */
  accountKey(): Promise<string> {
    return this.#trying(this.#account, async () => {
      try {
        return await readFile(this.#account, 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
      const key = await mintKey()
      await replaceFile(this.#account, key)
      return key
    })
  }

  /** The certificates that are there with their keys, by name; PEM. */
  async read(): Promise<ReadonlyMap<string, string>> {
    const files = await this.#trying(this.certificates, () => readdir(this.certificates))
    const found = new Map<string, string>()
    for (const file of files) {
      const name = nameOf(file)
      if (!file.endsWith(CERTIFICATE) || file.startsWith('.') || name === PLACEHOLDER) continue
      try {
        const cert = await readFile(join(this.certificates, file), 'utf8')
        const key = createPrivateKey(await readFile(join(this.certificates, `${fileOf(name)}${KEY}`)))
        if (new X509Certificate(cert).checkPrivateKey(key)) found.set(name, cert)
      } catch {
        continue // the store of certificates says what is wrong with it; here it is as if there were none
      }
    }
    return found
  }

  /** One of them with its key. @throws GatewayError FILE_UNREADABLE */
  pair(name: string): Promise<IssuedPair> {
    const base = join(this.certificates, fileOf(name))
    return this.#trying(base, async () => ({
      cert: await readFile(`${base}${CERTIFICATE}`, 'utf8'),
      key: await readFile(`${base}${KEY}`, 'utf8'),
    }))
  }

  /** Writes a pair over the one before, if there is one. @throws GatewayError FILE_UNREADABLE */
  async write(name: string, { cert, key }: IssuedPair): Promise<void> {
    const base = join(this.certificates, fileOf(name))
    await this.#trying(base, async () => {
      // A reader in between finds two that do not belong together, and looks again.
      await replaceFile(`${base}${KEY}`, key)
      await replaceFile(`${base}${CERTIFICATE}`, cert)
      if (name !== PLACEHOLDER) await this.remove(PLACEHOLDER)
    })
  }

  async remove(name: string): Promise<void> {
    const base = join(this.certificates, fileOf(name))
    await rm(`${base}${CERTIFICATE}`, { force: true })
    await rm(`${base}${KEY}`, { force: true })
  }

  async #trying<T>(path: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action()
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause
      throw new GatewayError(
        'FILE_UNREADABLE',
        `${path}: ${messageOf(cause)}; --acme-path has to be a folder that this account may write to`,
        {
          cause,
        },
      )
    }
  }
}

/** Something to open a TLS port with: for no name, and believed by nobody. */
async function mintPlaceholder(): Promise<IssuedPair> {
  const { certificatePem: cert, privateKeyPem: key } = await mintKeyPair({
    type: 'ec',
    commonName: 'no certificate yet',
    validityYears: 10,
    purpose: 'server',
  })
  return { cert, key }
}
