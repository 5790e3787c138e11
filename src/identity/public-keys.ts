import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { asGatewayError, GatewayError, messageOf } from '../errors.ts'
import { fingerprintOf } from '../files/fingerprint.ts'
import { KeyRegistry } from './key-registry.ts'
import { Followed } from '../files/followed.ts'
import { parsePublicKeyValue, readPublicKey, type Binding, type PublicKeyValue, type ReadKey } from './read-public-key.ts'

export { KeyRegistry, type RegisteredKey } from './key-registry.ts'

/** The time between two looks at the files. A removed key must be out of force within 2 s, a doubtful one is looked at twice. */
const DEFAULT_POLL_MS = 500

/** Options and events of a KeyFiles. */
export interface KeyFilesOptions {
  /** The keys changed: sessions whose key is gone from `registry` are to be closed. */
  readonly onChange?: (registry: KeyRegistry) => void
  /** A file cannot be used; called once per change of the fault. The other keys stay in force. */
  readonly onFault?: (fault: GatewayError) => void
  readonly pollMs?: number
  /** Clock in ms since 1970. */
  readonly now?: () => number
}

/** The end of a certificate of an inner layer. */
export interface KeyExpiry {
  readonly file: string
  /** Identifiers that its key may claim. */
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly notAfterMs: number
}

/** A file to read, and whether it was named (then it has to work at start) or found in a directory. */
interface KeyPlace {
  readonly file: string
  readonly binding: Binding
  readonly named: boolean
}

interface Fault {
  readonly error: GatewayError
  readonly named: boolean
}

/** Result of one look at the places. */
interface Reading {
  readonly keys: readonly ReadKey[]
  readonly faults: readonly Fault[]
}

const REMEDY =
  'expected the certificate or public key of an inner layer, or a directory of them: correct the path of --public-key, or mint a pair with: socket-gateway certificates'

function unreadable(path: string, cause: unknown): GatewayError {
  const isMissing = (cause as { readonly code?: unknown } | null)?.code === 'ENOENT'
  return new GatewayError('FILE_UNREADABLE', `${path}: ${isMissing ? 'no such file (ENOENT)' : messageOf(cause)}; ${REMEDY}`, { cause })
}

/**
 * The public key files of the outer layer: reads the values of `--public-key`, then follows changes of the files and directories.
 *
 * A key whose file left its directory is gone at the next look. A file that is there but broken may be half written: its key goes only
 * when two looks in a row find it broken. Expired certificates go by themselves.
 */
export class KeyFiles {
  readonly #values: readonly PublicKeyValue[]
  readonly #now: () => number
  readonly #listeners = new Set<(registry: KeyRegistry) => void>()
  #registry = new KeyRegistry()
  #validUntil = Infinity
  #expiries: readonly KeyExpiry[] = []
  readonly #followed: Followed<readonly (KeyPlace | Fault)[], Reading>

  /**
   * @param values  values of `--public-key`: FILE, DIRECTORY or IDENTIFIER=either
   * @throws GatewayError USAGE for a value that cannot be one
   */
  constructor(values: readonly string[], options: KeyFilesOptions = {}) {
    this.#values = values.map(parsePublicKeyValue)
    this.#now = options.now ?? Date.now
    this.#followed = new Followed(
      {
        places: () => this.#places(),
        fingerprint: places => this.#fingerprint(places),
        read: places => this.#read(places),
        due: () => (this.#now() > this.#validUntil ? 'certain' : 'no'),
        apply: ({ keys }, tell) => this.#apply(keys, tell),
      },
      options.pollMs ?? DEFAULT_POLL_MS,
      fault => options.onFault?.(fault),
      thrown => options.onFault?.(asGatewayError(thrown)),
    )
    if (options.onChange) this.#listeners.add(options.onChange)
  }

  /** The keys in force. */
  get registry(): KeyRegistry {
    return this.#registry
  }

  /** The certificates among the files in force. */
  get expiries(): readonly KeyExpiry[] {
    return this.#expiries
  }

  /** Files that cannot be used at the moment. */
  get faults(): readonly GatewayError[] {
    return this.#followed.faults
  }

  /** Calls `listener` with every new registry, until the returned function is called. */
  onChange(listener: (registry: KeyRegistry) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Reads all files and starts to watch them. A faulty file in a directory is only reported; a faulty file that was named is an error.
   * @throws GatewayError the first fault, its message listing all of them
   */
  async start(): Promise<KeyRegistry> {
    await this.#followed.start(({ faults }) => {
      const named = faults.filter(fault => fault.named).map(fault => fault.error)
      if (named[0]) throw new GatewayError(named[0].code, named.map(messageOf).join('; '), { cause: named[0] })
    })
    return this.#registry
  }

  /** Stops watching; idempotent. No listener is called any more, the registry stays as it is. */
  async close(): Promise<void> {
    await this.#followed.close()
  }

  #apply(keys: readonly ReadKey[], tellFaults: () => void): void {
    const before = describe(this.#registry)
    this.#registry = new KeyRegistry(keys.map(({ key }) => key))
    this.#expiries = keys
      .filter(({ notAfter }) => notAfter !== Infinity)
      .map(({ key: { source, identifiers = [] }, notAfter }) => ({ file: source, names: identifiers, notAfterMs: notAfter }))
    this.#validUntil = Math.min(Infinity, ...keys.map(({ notAfter }) => notAfter))
    tellFaults()
    if (describe(this.#registry) !== before) for (const listener of this.#listeners) listener(this.#registry)
  }

  async #places(): Promise<readonly (KeyPlace | Fault)[]> {
    const places = this.#values.map(async ({ path, identifier }): Promise<readonly (KeyPlace | Fault)[]> => {
      const named = identifier === undefined ? undefined : { identifier }
      try {
        if (!(await stat(path)).isDirectory()) return [{ file: path, binding: named, named: true }]
        // names with a leading dot are the bookkeeping of editors and of Kubernetes volumes
        const names = (await readdir(path)).filter(name => /^[^.].*\.(crt|pem)$/.test(name)).sort()
        return names.map(name => ({ file: join(path, name), binding: named ?? 'common name', named: false }))
      } catch (cause) {
        return [{ error: unreadable(path, cause), named: true }]
      }
    })
    return (await Promise.all(places)).flat()
  }

  async #fingerprint(places: readonly (KeyPlace | Fault)[]): Promise<string> {
    const marks = places.map(async place => ('error' in place ? place.error.message : fingerprintOf(place.file)))
    return (await Promise.all(marks)).join('\n')
  }

  async #read(places: readonly (KeyPlace | Fault)[]): Promise<Reading> {
    const keys: ReadKey[] = []
    const faults: Fault[] = []
    for (const place of places) {
      if ('error' in place) {
        faults.push(place)
        continue
      }
      try {
        keys.push(await readPublicKey(place.file, place.binding, this.#now()))
      } catch (error) {
        faults.push({ error: asGatewayError(error), named: place.named })
      }
    }
    return { keys, faults }
  }
}

const describe = (registry: KeyRegistry): string =>
  JSON.stringify(Array.from(registry, ({ kid, identifiers }) => [kid, identifiers ? [...identifiers].sort() : null]).sort())
