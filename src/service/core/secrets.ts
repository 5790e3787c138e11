/** Secrets of the service, which all its processes share: sealed in the database under a key outside of it. */
import { createPrivateKey, createSecretKey, generateKeyPairSync, randomBytes, X509Certificate, type KeyObject } from 'node:crypto'
import type { Issuer } from '../../identity/certificate.ts'
import type { Store, StoreTransaction } from '../../store/store.ts'
import { SealingKey } from '../proofs/sealed.ts'

/** The purpose of a secret. */
export type SecretPurpose = 'jwt' | 'ssh-host' | 'ssh-ca' | 'cookie' | 'visitor-ca' | 'visitor-ssh-ca'

interface Secret {
  readonly id: string
  readonly bytes: Buffer
}

const pem = (key: KeyObject): Buffer => Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }) as string)

/** An authority, for as long as certificates of ten years or less are of use; who wants another one earlier rotates it. */
const AUTHORITY_YEARS = 20

/** Makers of fresh secrets. Keys of SSH are Ed25519 and, for clients of 2021 that know nothing else, not RSA. */
const FRESH: Readonly<Record<SecretPurpose, () => Buffer | Promise<Buffer>>> = {
  jwt: () => randomBytes(32),
  cookie: () => randomBytes(32),
  'ssh-host': () => pem(generateKeyPairSync('ed25519').privateKey),
  'ssh-ca': () => pem(generateKeyPairSync('ed25519').privateKey),
  // Not the one of tunnels: what a visitor has signed must open no door of the service.
  'visitor-ssh-ca': () => pem(generateKeyPairSync('ed25519').privateKey),
  'visitor-ca': async () => {
    const { mintKeyPair } = await import('../../identity/certificate.ts')
    const { privateKeyPem, certificatePem } = await mintKeyPair({
      type: 'ec',
      commonName: `visitors ${randomBytes(4).toString('hex')}`,
      validityYears: AUTHORITY_YEARS,
      purpose: 'ca',
    })
    return Buffer.from(privateKeyPem + certificatePem)
  },
}

/** The secrets, read once and then kept in memory, so that they outlive a database that is away. */
export class Secrets {
  readonly #known = new Map<SecretPurpose, readonly Secret[]>()
  #loading: Promise<void> | undefined

  constructor(
    private readonly store: Store,
    private readonly sealing: SealingKey,
    private readonly now: () => number,
  ) {}

  /** Reads all secrets and makes those that are missing, unless it has been done. @throws GatewayError STORE_INVALID for another key file, STORE_UNAVAILABLE */
  load(): Promise<void> {
    this.#loading ??= this.#loadAll().catch((thrown: unknown) => {
      this.#loading = undefined // tried again for the next one who needs them
      throw thrown
    })
    return this.#loading
  }

  /** Reads them anew, as another process may have made new ones. @throws GatewayError as `load` */
  async reload(): Promise<void> {
    await this.load()
    await this.#loadAll()
  }

  async #loadAll(): Promise<void> {
    for (const purpose of Object.keys(FRESH) as SecretPurpose[]) this.#known.set(purpose, await this.#load(purpose))
  }

  /** Keys that sign or verify tokens, the newest first. @throws GatewayError as `load` */
  async symmetric(purpose: 'jwt' | 'cookie'): Promise<readonly [SecretKey, ...SecretKey[]]> {
    await this.load()
    return this.#of(purpose, bytes => createSecretKey(bytes))
  }

  /** Private keys of SSH, the newest first. @throws GatewayError as `load` */
  async private(purpose: 'ssh-host' | 'ssh-ca' | 'visitor-ssh-ca'): Promise<readonly [SecretKey, ...SecretKey[]]> {
    await this.load()
    return this.#of(purpose, bytes => createPrivateKey(bytes))
  }

  /** Authorities that certify visitors, the newest first: that one signs, and all of them count. @throws GatewayError as `load` */
  async authorities(): Promise<readonly [Issuer, ...Issuer[]]> {
    await this.load()
    const [first, ...others] = (this.#known.get('visitor-ca') ?? []).map(({ bytes }) => ({
      key: createPrivateKey(bytes),
      certificate: new X509Certificate(bytes.subarray(bytes.indexOf('-----BEGIN CERTIFICATE'))),
    }))
    if (first === undefined) throw new Error('secret visitor-ca is used before it is loaded')
    return [first, ...others]
  }

  #of(purpose: SecretPurpose, keyOf: (bytes: Buffer) => KeyObject): readonly [SecretKey, ...SecretKey[]] {
    const [first, ...others] = (this.#known.get(purpose) ?? []).map(({ id, bytes }) => ({ id, key: keyOf(bytes) }))
    if (first === undefined) throw new Error(`secret ${purpose} is used before it is loaded`)
    return [first, ...others]
  }

  async #load(purpose: SecretPurpose): Promise<readonly Secret[]> {
    return this.store.transaction(async ({ db }) => {
      const read = () =>
        db
          .selectFrom('secrets')
          .selectAll()
          .where('purpose', '=', purpose)
          .where('retired_at', 'is', null)
          .orderBy('created_at', 'desc')
          .orderBy('id')
          .execute()
      let rows = await read()
      if (rows.length === 0) {
        // One id for the first one: where several processes start at once, one of them makes it.
        const id = `${purpose}-1`
        await db
          .insertInto('secrets')
          .values({
            id,
            purpose,
            sealed: this.sealing.seal(await FRESH[purpose](), `${purpose}:${id}`),
            created_at: this.now(),
            retired_at: null,
          })
          .onConflict(conflict => conflict.column('id').doNothing())
          .execute()
        rows = await read()
      }
      return rows.map(({ id, sealed }) => ({ id, bytes: this.sealing.open(sealed, `${purpose}:${id}`) }))
    })
  }
}

/** Choices of `rotateSecrets`. */
export interface Rotation {
  readonly purposes: readonly SecretPurpose[]
  /** Tokens made with the one before stay good until the next rotation; false: it is over at once. */
  readonly keepsPrevious: boolean
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * Makes new secrets, which all processes of the service use from then on. Of the older ones the newest is kept to verify with, where that is wanted; all
 * others are retired. The host key of SSH is never kept: a door shows one.
 * @param key  that of the key file
 * @returns the ids of the new ones
 * @throws GatewayError STORE_INVALID for a key file of another database, KEY_INVALID
 */
export async function rotateSecrets(store: Store, key: Buffer, { purposes, keepsPrevious, now }: Rotation): Promise<readonly string[]> {
  const sealing = new SealingKey(key)
  const { value } = await store.changing(async ({ db, change }) => {
    const made: string[] = []
    for (const purpose of purposes) {
      const rows = await db
        .selectFrom('secrets')
        .selectAll()
        .where('purpose', '=', purpose)
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .execute()
      const used = rows.filter(row => row.retired_at === null)
      // Sealed under another key, the new one would be lost to the service.
      for (const row of used) sealing.open(row.sealed, `${purpose}:${row.id}`)
      const id = `${purpose}-${rows.length + 1}`
      await db
        .insertInto('secrets')
        .values({
          id,
          purpose,
          sealed: sealing.seal(await FRESH[purpose](), `${purpose}:${id}`),
          created_at: Math.max(now, (rows[0]?.created_at ?? 0) + 1),
          retired_at: null,
        })
        .execute()
      const retired = keepsPrevious && purpose !== 'ssh-host' ? used.slice(1) : used
      if (retired.length > 0)
        await db
          .updateTable('secrets')
          .set({ retired_at: now })
          .where(
            'id',
            'in',
            retired.map(row => row.id),
          )
          .execute()
      change('secret', id)
      made.push(id)
    }
    return made
  })
  return value
}

/**
 * Seals all secrets anew. What cannot be opened any more, and is not used, stays as it is.
 * @param keys  the new key of the key file, then those before
 * @throws GatewayError STORE_INVALID for a key file of another database, and nothing is changed
 */
export async function resealSecrets(store: Store, keys: Buffer): Promise<void> {
  const sealing = new SealingKey(keys)
  // No change is told: the secrets are the same, and processes that run have them in memory.
  await store.transaction(async ({ db }) => {
    for (const { id, purpose, sealed, retired_at } of await db.selectFrom('secrets').selectAll().execute()) {
      const place = `${purpose}:${id}`
      let secret: Buffer
      try {
        secret = sealing.open(sealed, place)
      } catch (thrown) {
        if (retired_at !== null) continue
        throw thrown
      }
      await db
        .updateTable('secrets')
        .set({ sealed: sealing.seal(secret, place) })
        .where('id', '=', id)
        .execute()
    }
    await resealCertificates(db, sealing)
  })
}

/** The place of a certificate of a host, for which it is sealed. */
export const certificatePlace = (name: string): string => `server-certificate:${name}`

/** A certificate that cannot be opened any more is ordered anew: it keeps nobody from a new key. */
async function resealCertificates(db: StoreTransaction['db'], sealing: SealingKey): Promise<void> {
  for (const { name, sealed } of await db.selectFrom('server_certificates').selectAll().execute()) {
    const place = certificatePlace(name)
    let pair: Buffer
    try {
      pair = sealing.open(sealed, place)
    } catch {
      await db.deleteFrom('server_certificates').where('name', '=', name).execute()
      continue
    }
    await db
      .updateTable('server_certificates')
      .set({ sealed: sealing.seal(pair, place) })
      .where('name', '=', name)
      .execute()
  }
}

/** A key and its name. */
export interface SecretKey {
  readonly id: string
  readonly key: KeyObject
}
