import { readFile } from 'node:fs/promises'
import { messageOf, type GatewayError } from '../../errors.ts'
import { fingerprintOf } from '../../files/fingerprint.ts'
import { Followed } from '../../files/followed.ts'
import type { ServiceConfig } from '../../service/config.ts'
import { ConfigError } from '../document/fault.ts'
import { fixedChanges, parseServiceConfig } from './service-config.ts'

const POLL_MS = 500

/** Told of changes of the file. */
export interface ServiceFileHandlers {
  /** @param fixed  keys that have changed and count only after a restart; `config` has them as they were */
  onChange(config: ServiceConfig, fixed: readonly string[]): void
  /** The file is bad or gone, and the last good one stays in force. Once per fault. */
  onFault(error: GatewayError): void
}

interface Reading {
  readonly config: ServiceConfig | undefined
  readonly faults: readonly { readonly error: GatewayError }[]
}

const missing = (cause: unknown): boolean => (cause as NodeJS.ErrnoException | null)?.code === 'ENOENT'

/**
 * Reads the file of the service.
 * @throws ConfigError CONFIG_INVALID with every fault, FILE_UNREADABLE
 */
export async function readServiceConfig(file: string): Promise<ServiceConfig> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const message = missing(cause)
      ? 'no such file; write one with: socket-gateway service init --zone edge.example.com'
      : `cannot be read: ${messageOf(cause)}`
    throw new ConfigError([{ file, line: 0, column: 0, path: '', message }], { code: 'FILE_UNREADABLE', cause })
  })
  return parseServiceConfig(text, file)
}

/** The file of the service, followed: a good change is in force within two seconds, a bad one is told and changes nothing. */
export class ServiceFile {
  readonly #followed: Followed<string, Reading>
  #config: ServiceConfig | undefined

  constructor(
    readonly file: string,
    private readonly handlers: ServiceFileHandlers,
  ) {
    this.#followed = new Followed<string, Reading>(
      {
        places: async () => this.file,
        fingerprint: fingerprintOf,
        read: place => this.#read(place),
        due: () => 'no',
        apply: (reading, tell) => this.#apply(reading, tell),
      },
      POLL_MS,
      fault => handlers.onFault(fault),
      () => undefined, // a look that failed is followed by the next one
    )
  }

  /** The configuration in force. @throws Error before `start` has resolved */
  get config(): ServiceConfig {
    if (this.#config === undefined) throw new Error('ServiceFile is used before it is started')
    return this.#config
  }

  /** Reads the file, then follows it. @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE; nothing is followed then */
  async start(): Promise<ServiceConfig> {
    await this.#followed.start(({ faults: [fault] }) => {
      if (fault !== undefined) throw fault.error
    })
    return this.config
  }

  /** Stops following. Idempotent. */
  close(): Promise<void> {
    return this.#followed.close()
  }

  async #read(place: string): Promise<Reading> {
    try {
      return { config: await readServiceConfig(place), faults: [] }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return { config: undefined, faults: [{ error }] }
    }
  }

  #apply({ config }: Reading, tell: () => void): void {
    tell()
    if (config === undefined) return
    const before = this.#config
    if (before === undefined) {
      this.#config = config
      return
    }
    const { zone, store, secretsFile, stateDirectory, hosts, ssh, portalProviders } = before
    this.#config = Object.freeze({ ...config, zone, store, secretsFile, stateDirectory, hosts, ssh, portalProviders })
    this.handlers.onChange(this.#config, fixedChanges(before, config))
  }
}
