import { appendFile, readFile } from 'node:fs/promises'
import { readFileSync, statSync } from 'node:fs'
import { platform } from 'node:os'
import path from 'node:path'
import { asGatewayError, GatewayError, messageOf } from '../../errors.ts'
import { fingerprintOf } from '../../files/fingerprint.ts'
import { Followed } from '../../files/followed.ts'
import type { Logo, VisitorsConfig } from '../../visitors/config.ts'
import { readKeys, type KeyRing } from '../../visitors/session/key-ring.ts'
import { readRevocations, revocationLine, type Revocation } from '../../visitors/session/revocations.ts'
import { ConfigError } from '../document/fault.ts'
import { parseVisitorsConfig, visitorsPlaces, type VisitorsPlaces } from './visitors-config.ts'

/** A revocation has to be in force within a second. */
const POLL_MS = 300
const OTHERS = 0o077
const MAX_LOGO_BYTES = 262_144

/** The logins that the file of a service names, which come beside those of the file of visitors, or stand alone. */
export interface ServiceLogins {
  /** Followed too. */
  readonly file: string
  /** There is no file of visitors: the rest is as it is by default, and beside the secrets of the service. */
  readonly isAlone: boolean
  /** @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE, as a rejection */
  read(): Promise<ServiceProviders>
}

/** Providers by whom visitors of sockets log in. */
export interface ServiceProviders {
  /** Origin of the auth host, where no file of visitors names one. */
  readonly authUrl: string
  /** As the file of visitors has them, with absolute paths. */
  readonly providers: Readonly<Record<string, object>>
}

/** Told of changes. */
export interface VisitorsFileHandlers {
  /** The configuration or the keys in force are others. */
  onChange(): void
  /** All that the file of revocations has. */
  onRevoked(revocations: readonly Revocation[]): void
  /** A file cannot be used; what was in force stays. Once per fault. */
  onFault(error: GatewayError): void
}

interface Reading {
  readonly config: VisitorsConfig | undefined
  readonly keys: KeyRing | undefined
  readonly revoked: string
  readonly faults: readonly { readonly error: GatewayError }[]
}

const isMissing = (thrown: unknown): boolean => (thrown as NodeJS.ErrnoException | null)?.code === 'ENOENT'

/** The file of `--visitors` with the files that belong to it, followed: what is new in them is in force within a second. */
export class VisitorsFile {
  readonly #followed: Followed<VisitorsPlaces, Reading>
  #config: VisitorsConfig | undefined
  #keys: KeyRing | undefined
  #revoked = ''

  constructor(
    readonly file: string,
    private readonly handlers: VisitorsFileHandlers,
    private readonly service?: ServiceLogins,
  ) {
    this.#followed = new Followed<VisitorsPlaces, Reading>(
      {
        places: () => this.#places(),
        fingerprint: async ({ keysFile, revokedFile, named }) =>
          (await Promise.all([...(service?.isAlone === true ? [] : [file]), keysFile, revokedFile, ...named].map(fingerprintOf))).join(
            '\n',
          ),
        read: places => this.#read(places),
        due: () => 'no',
        apply: (reading, tell) => this.#apply(reading, tell),
      },
      POLL_MS,
      fault => handlers.onFault(fault),
      thrown => handlers.onFault(asGatewayError(thrown)),
    )
  }

  /** The configuration in force. @throws Error before `start` has resolved */
  get config(): VisitorsConfig {
    if (this.#config === undefined) throw new Error('VisitorsFile is used before it is started')
    return this.#config
  }

  /** The keys in force. @throws Error before `start` has resolved */
  get keys(): KeyRing {
    if (this.#keys === undefined) throw new Error('VisitorsFile is used before it is started')
    return this.#keys
  }

  /** Faults of the files as they are now; what was good stays in force. */
  get faults(): readonly GatewayError[] {
    return this.#followed.faults
  }

  /** Reads the files, then follows them. @throws GatewayError CONFIG_INVALID, FILE_UNREADABLE, KEY_INVALID; nothing is followed then */
  async start(): Promise<void> {
    await this.#followed.start(({ faults: [fault] }) => {
      if (fault !== undefined) throw fault.error
    })
  }

  /** Stops following. Idempotent. */
  close(): Promise<void> {
    return this.#followed.close()
  }

  /** Writes a revocation down, for restarts and for other processes. @throws GatewayError FILE_UNREADABLE */
  async append(revocation: Revocation): Promise<void> {
    await appendRevocation(this.config.revokedFile, revocation)
  }

  async #places(): Promise<VisitorsPlaces> {
    const { service, file } = this
    const own = service?.isAlone === true ? '' : await readFile(file, 'utf8').catch(() => '')
    const places = visitorsPlaces(own, file)
    if (service === undefined) return places
    const providers = await service.read().catch(() => undefined)
    const theirs = providers === undefined ? [] : visitorsPlaces(textOf(providers), file).named
    return { ...places, named: [...places.named, ...theirs, service.file] }
  }

  async #readConfig(): Promise<VisitorsConfig> {
    const { service, file } = this
    if (service === undefined) return readVisitorsConfig(file)
    const { authUrl, providers } = await service.read()
    // What vouches for visitors of sockets does not for those of the operator's targets, unless they name it.
    if (service.isAlone) return Object.freeze({ ...parsed(textOf({ authUrl, providers }), file), targetProviders: Object.freeze([]) })
    const own = await readVisitorsConfig(file)
    return withProviders(own, parsed(textOf({ authUrl: own.authUrl, providers }), service.file))
  }

  async #read({ keysFile, revokedFile }: VisitorsPlaces): Promise<Reading> {
    const faults: { readonly error: GatewayError }[] = []
    const attempt = async <T>(reading: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await reading()
      } catch (error) {
        faults.push({ error: asGatewayError(error, 'FILE_UNREADABLE') })
        return undefined
      }
    }
    const config = await attempt(() => this.#readConfig())
    const keys = await attempt(async () => readKeyFile(keysFile))
    const revoked = await attempt(async () => {
      const text = await readFile(revokedFile, 'utf8').catch((error: unknown) => {
        if (isMissing(error)) return ''
        throw new GatewayError('FILE_UNREADABLE', `${revokedFile}: ${messageOf(error)}`, { cause: error })
      })
      if (readRevocations(text) === undefined) throw new GatewayError('CONFIG_INVALID', `${revokedFile}: a line is no revocation`)
      return text
    })
    return { config, keys, revoked: revoked ?? this.#revoked, faults }
  }

  #apply({ config, keys, revoked }: Reading, tell: () => void): void {
    tell()
    this.#config = config ?? this.#config
    this.#keys = keys ?? this.#keys
    if (revoked !== this.#revoked) {
      this.#revoked = revoked
      this.handlers.onRevoked(readRevocations(revoked) ?? [])
    }
    this.handlers.onChange()
  }
}

/** Reads the file of visitors, with the secrets that it names. @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE */
export async function readVisitorsConfig(file: string): Promise<VisitorsConfig> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const message = isMissing(cause)
      ? 'no such file; write one with: socket-gateway visitors init --auth https://auth.example.com'
      : `cannot be read: ${messageOf(cause)}`
    throw new ConfigError([{ file, line: 0, column: 0, path: '', message }], { code: 'FILE_UNREADABLE', cause })
  })
  return parsed(text, file)
}

/**
 * Finds the keys and the revocations for a command. Where there is no file of visitors but its keys, a service has made these, and goes by what is
 * there by default.
 * @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE
 */
export async function readVisitorsPlaces(file: string): Promise<Pick<VisitorsPlaces, 'keysFile' | 'revokedFile'>> {
  const byDefault = visitorsPlaces('', file)
  return !isThere(file) && isThere(byDefault.keysFile) ? byDefault : readVisitorsConfig(file)
}

function isThere(file: string): boolean {
  try {
    return statSync(file).isFile()
  } catch {
    return false
  }
}

const parsed = (text: string, file: string): VisitorsConfig =>
  parseVisitorsConfig(text, file, { secret: name => readSecret(name).trim(), text: readText, logo: readLogo })

/** Those of the service as a file of visitors. */
const textOf = ({ authUrl, providers }: ServiceProviders): string => JSON.stringify({ auth: authUrl, providers })

/** The file of visitors with the providers of the service, by whom visitors of sockets log in besides. One that both name is that of the file. */
function withProviders(own: VisitorsConfig, { providers }: Pick<VisitorsConfig, 'providers'>): VisitorsConfig {
  const more = [...providers].filter(([name]) => !own.providers.has(name))
  return Object.freeze({
    ...own,
    providers: new Map([...own.providers, ...more]),
    targetProviders: Object.freeze([...own.providers.keys()]),
    socketProviders: Object.freeze([...new Set([...own.socketProviders, ...providers.keys()])]),
  })
}

/** Reads the keys of visitors. @throws GatewayError KEY_INVALID, FILE_UNREADABLE */
export function readKeyFile(file: string): KeyRing {
  try {
    return readKeys(readSecret(file))
  } catch (error) {
    const { code, message } = asGatewayError(error)
    throw new GatewayError(code, message.startsWith(file) ? message : `${file}: ${message}`, { cause: error })
  }
}

/** Adds a line to a file of revocations, which is made if need be. @throws GatewayError FILE_UNREADABLE */
export async function appendRevocation(file: string, revocation: Revocation): Promise<void> {
  try {
    await appendFile(file, revocationLine(revocation), { mode: 0o600 })
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
  }
}

/** @throws GatewayError FILE_UNREADABLE, KEY_INVALID when others may read it */
function readSecret(file: string): string {
  try {
    const { mode } = statSync(file)
    // On Windows every mode reads 0666 and means nothing.
    if ((mode & OTHERS) !== 0 && platform() !== 'win32')
      throw new GatewayError('KEY_INVALID', `${file}: other accounts of this machine can read it; run: chmod 600 on it`)
    const text = readFileSync(file, 'utf8')
    if (text.trim() === '') throw new GatewayError('KEY_INVALID', `${file}: expected a secret, and the file is empty`)
    return text
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(error)}`, { cause: error })
  }
}

const MAX_TEXT_BYTES = 2_097_152

/** @throws GatewayError FILE_UNREADABLE */
function readText(file: string): string {
  try {
    if (statSync(file).size > MAX_TEXT_BYTES) throw new Error('expected a file of at most 2 MiB')
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(error)}`, { cause: error })
  }
}

const LOGO_TYPES: ReadonlyMap<string, string> = new Map([
  ['.png', 'image/png'],
  ['.svg', 'image/svg+xml'],
  ['.jpg', 'image/jpeg'],
  ['.webp', 'image/webp'],
])

function readLogo(file: string): Logo {
  const type = LOGO_TYPES.get(path.extname(file).toLowerCase())
  if (type === undefined) throw new GatewayError('CONFIG_INVALID', 'expected a picture: .png, .svg, .jpg or .webp')
  try {
    const bytes = readFileSync(file)
    if (bytes.length > MAX_LOGO_BYTES) throw new GatewayError('CONFIG_INVALID', 'expected a picture of at most 256 KiB')
    return { type, bytes }
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(error)}`, { cause: error })
  }
}
