import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { asGatewayError, GatewayError, messageOf } from '../errors.ts'
import { readCertificates, readRevocationLists } from '../identity/certificate-file.ts'
import { fingerprintOf } from '../files/fingerprint.ts'
import { Followed } from '../files/followed.ts'
import { readServerPair, type ServerPair } from './server-pair.ts'

export type { ServerPair } from './server-pair.ts'

/** The time between two looks at the files; what is doubtful is looked at twice. */
const DEFAULT_POLL_MS = 1_000
/** The time after which files that have not changed are read nevertheless, while one is faulty: a certificate that is not valid yet will be. */
const RETRY_MS = 60_000

/** Options of a store. */
export interface CertificateStoreOptions {
  /** Files of certificates, or directories in which `NAME.crt` or `NAME.pem` has its key in `NAME.key`. The first pair is the default. */
  readonly certificates: readonly string[]
  /** Files of keys, one for each certificate file in order; none for a directory. */
  readonly keys: readonly string[]
  /** File with the authorities whose clients are let in; absent: clients are not asked for certificates. */
  readonly clientCa?: string
  /** File with lists of what these have revoked; absent: nothing is asked of them. */
  readonly clientCrl?: string | undefined
  /** Names of the options, for messages. Default `--tls-certificate` and `--tls-key`. */
  readonly optionNames?: { readonly certificate: string; readonly key: string }
  /** Other certificates are in force. */
  readonly onChange?: (pairs: readonly ServerPair[]) => void
  /** Every file can be used again, and those that are in force have not changed by it. */
  readonly onRecovery?: (pairs: readonly ServerPair[]) => void
  /** A file cannot be used; called once per change of the fault. What was in force before stays. */
  readonly onFault?: (fault: GatewayError) => void
  /** A client has asked for a name, in lower case, that no certificate is for; it gets the default. */
  readonly onMissing?: ((serverName: string) => void) | undefined
  readonly pollMs?: number
  /** Clock in ms since 1970. */
  readonly now?: () => number
}

/** The two files of a pair, or why there are none. `isNamed`: given as option, so it has to work at the start. */
type PairPlace =
  | { readonly certificate: string; readonly key: string; readonly isNamed: boolean }
  | { readonly error: GatewayError; readonly isNamed: boolean }

interface Reading {
  readonly pairs: readonly ServerPair[]
  readonly faults: readonly { readonly error: GatewayError; readonly isNamed: boolean }[]
  readonly clientCa: string | undefined
  readonly clientCrls: readonly string[] | undefined
  /** Of the files of clients. */
  readonly clientFaults: readonly GatewayError[]
}

/** Server name → pair: exact before wildcard, of two for the same name the first. */
function indexOf(pairs: readonly ServerPair[]): ReadonlyMap<string, ServerPair> {
  const index = new Map<string, ServerPair>()
  for (const pair of pairs) for (const name of pair.names) if (!index.has(name)) index.set(name, pair)
  return index
}

/**
 * The server certificates of one port: reads the files, then follows their changes. Connections that are up never notice; handshakes get
 * what is in force. A file that cannot be used any more leaves its last good pair in force, and so does one that has expired.
 */
export class CertificateStore {
  readonly #options: CertificateStoreOptions
  readonly #now: () => number
  readonly #listeners = new Set<() => void>()
  #pairs: readonly ServerPair[] = []
  #index: ReadonlyMap<string, ServerPair> = new Map()
  #clientCa: string | undefined
  #clientCrls: readonly string[] | undefined
  #clientFaults: readonly GatewayError[] = []
  #readAtMs = 0
  /** Those of the values that are directories, found out once: one that is away for a moment has to stay one. */
  #directories: ReadonlySet<string> = new Set()
  readonly #followed: Followed<readonly PairPlace[], Reading>

  constructor(options: CertificateStoreOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#followed = new Followed(
      {
        places: () => this.#places(),
        fingerprint: places => this.#fingerprint(places),
        read: places => this.#read(places),
        // A certificate and its key are two files, so what is new is doubted: between the writing of the two they do not belong together.
        due: () => (this.#isDue() ? 'yes' : 'no'),
        apply: (reading, tell, wasFaulty) => this.#apply(reading, tell, wasFaulty),
      },
      options.pollMs ?? DEFAULT_POLL_MS,
      fault => options.onFault?.(fault),
      thrown => options.onFault?.(asGatewayError(thrown)),
    )
  }

  /** The pairs in force, the default first. */
  get pairs(): readonly ServerPair[] {
    return this.#pairs
  }

  /** Files that cannot be used at the moment. */
  get faults(): readonly GatewayError[] {
    return this.#followed.faults
  }

  /** Those of them that are files of the authorities of clients, and of what these have revoked. */
  get clientFaults(): readonly GatewayError[] {
    return this.#clientFaults
  }

  /** The file of the authorities of clients. */
  get clientCaFile(): string | undefined {
    return this.#options.clientCa
  }

  /** PEM of the authorities of clients. */
  get clientCa(): string | undefined {
    return this.#clientCa
  }

  /** PEM of the lists of what they have revoked, each by itself: Node.js reads one of a text. */
  get clientCrls(): readonly string[] | undefined {
    return this.#clientCrls
  }

  /** Returns the certificate for a client that asks for `serverName` (RFC 6066 §3): exact, then a wildcard of one label, then the default. */
  match(serverName: string | undefined): ServerPair {
    const name = serverName?.toLowerCase() ?? ''
    const dot = name.indexOf('.')
    const known = this.#index.get(name) ?? (dot > 0 ? this.#index.get(`*${name.slice(dot)}`) : undefined)
    if (known === undefined && name !== '') this.#options.onMissing?.(name)
    return known ?? this.#pairs[0]!
  }

  get #optionNames(): { readonly certificate: string; readonly key: string } {
    return this.#options.optionNames ?? { certificate: '--tls-certificate', key: '--tls-key' }
  }

  /** Calls `listener` whenever other certificates are in force, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Reads all files and starts to watch them. A faulty pair in a directory is only reported, unless there is no other.
   * @throws GatewayError USAGE when keys and certificates are not as many, KEY_INVALID or FILE_UNREADABLE with all faults in the message
   */
  async start(): Promise<void> {
    this.#directories = await directoriesOf(this.#options.certificates)
    this.#checkCounts()
    await this.#followed.start(reading => this.#checkFirst(reading))
  }

  /** Looks at the files now, for whoever has written one. */
  lookNow(): Promise<void> {
    return this.#followed.lookNow()
  }

  /** Stops watching; idempotent. What is in force stays. */
  async close(): Promise<void> {
    await this.#followed.close()
  }

  #checkFirst({ pairs, faults }: Reading): void {
    const hasNone = pairs.length === 0
    const fatal = faults.filter(({ isNamed }) => isNamed || hasNone).map(({ error }) => error)
    if (fatal[0]) {
      const { certificate, key } = this.#optionNames
      const isUnreadable = pairs.length === 0 && fatal.some(({ code }) => code === 'FILE_UNREADABLE')
      const remedy = isUnreadable ? `; correct the path in ${certificate} or ${key}` : ''
      throw new GatewayError(fatal[0].code, `${fatal.map(messageOf).join('; ')}${remedy}`, { cause: fatal[0] })
    }
    if (!hasNone) return
    const where = this.#options.certificates.join(', ')
    throw new GatewayError('KEY_INVALID', `${where}: no certificate with its key found; expected pairs such as NAME.crt and NAME.key`)
  }

  /** Is it time to read files again that have not changed? */
  #isDue(): boolean {
    const isFaulty = this.faults.length > 0 || this.#pairs.some(({ notAfter }) => this.#now() > notAfter)
    return isFaulty && Math.abs(this.#now() - this.#readAtMs) >= RETRY_MS
  }

  #apply({ pairs, faults, clientCa, clientCrls, clientFaults }: Reading, tellFaults: () => void, wasFaulty: boolean): void {
    this.#clientFaults = clientFaults
    tellFaults()
    const isSame = describe(pairs, [clientCa, clientCrls]) === describe(this.#pairs, [this.#clientCa, this.#clientCrls])
    // None is left when a directory was emptied: the last ones serve on, since a TLS port without any serves nobody.
    if (isSame || pairs.length === 0) {
      if (wasFaulty && faults.length === 0) this.#options.onRecovery?.(this.#pairs)
      return
    }
    this.#pairs = pairs
    this.#index = indexOf(pairs)
    this.#clientCa = clientCa
    this.#clientCrls = clientCrls
    this.#options.onChange?.(pairs)
    for (const listener of this.#listeners) listener()
  }

  #checkCounts(): void {
    const { certificates, keys } = this.#options
    const files = certificates.filter(path => !this.#directories.has(path)).length
    if (files === keys.length) return
    const { certificate, key } = this.#optionNames
    throw new GatewayError(
      'USAGE',
      `${key}: ${countOf(keys.length, 'key')} for ${countOf(files, 'certificate file')}; expected one ${key} for each file in ${certificate}, in the same order, and none for a directory`,
    )
  }

  async #places(): Promise<readonly PairPlace[]> {
    const { certificates, keys } = this.#options
    const places: PairPlace[] = []
    let used = 0
    for (const path of certificates) {
      if (this.#directories.has(path)) places.push(...(await pairsIn(path)))
      else places.push({ certificate: path, key: keys[used++] ?? '', isNamed: true })
    }
    return places
  }

  async #fingerprint(places: readonly PairPlace[]): Promise<string> {
    const { clientCa, clientCrl } = this.#options
    const files = places.flatMap(place => ('error' in place ? [] : [place.certificate, place.key]))
    const marks = await Promise.all([...files, clientCa, clientCrl].filter(file => file !== undefined).map(fingerprintOf))
    return [...marks, ...places.map(place => ('error' in place ? place.error.message : ''))].join('\n')
  }

  async #read(places: readonly PairPlace[]): Promise<Reading> {
    this.#readAtMs = this.#now()
    const [pairs, faults]: [ServerPair[], { error: GatewayError; isNamed: boolean }[]] = [[], []]
    const clientFaults: GatewayError[] = []
    const onFault = (error: GatewayError): number => clientFaults.push(error)
    const { clientCa: caFile, clientCrl: crlFile } = this.#options
    const clientCa = await readOr(this.#clientCa, caFile, readCertificates, onFault)
    const clientCrls = await readOr(this.#clientCrls, crlFile, readRevocationLists, onFault)
    for (const error of clientFaults) faults.push({ error, isNamed: true })
    for (const place of places) {
      try {
        if ('error' in place) throw place.error
        pairs.push(await readServerPair(place.certificate, place.key, { clientCa, clientCrls, nowMs: this.#now() }))
      } catch (error) {
        faults.push({ error: asGatewayError(error), isNamed: place.isNamed })
        const last = 'error' in place ? undefined : this.#pairs.find(({ source }) => source === place.certificate)
        if (last !== undefined) pairs.push(last)
      }
    }
    return { pairs, faults, clientCa, clientCrls, clientFaults }
  }
}

/** Reads a file, if there is one; what was read before stays where it cannot be used. */
async function readOr<T>(
  last: T | undefined,
  file: string | undefined,
  read: (file: string) => Promise<T>,
  onFault: (fault: GatewayError) => unknown,
): Promise<T | undefined> {
  if (file === undefined) return undefined
  try {
    return await read(file)
  } catch (error) {
    onFault(asGatewayError(error))
    return last
  }
}

async function directoriesOf(paths: readonly string[]): Promise<ReadonlySet<string>> {
  const directories = new Set<string>()
  for (const path of paths) {
    const isDirectory = await stat(path).then(
      stats => stats.isDirectory(),
      () => false, // reading it as a file says why
    )
    if (isDirectory) directories.add(path)
  }
  return directories
}

const describe = (pairs: readonly ServerPair[], ofClients: readonly unknown[]): string =>
  JSON.stringify([ofClients, ...pairs.map(({ source, cert, key }) => [source, cert, key])])

/** The pairs in a directory, by name. A key without a certificate may wait for it; a certificate without a key is a fault. */
async function pairsIn(directory: string): Promise<PairPlace[]> {
  try {
    // names with a leading dot are the bookkeeping of editors and of Kubernetes volumes
    const names = (await readdir(directory)).filter(name => !name.startsWith('.')).sort()
    const certificates = names.filter(name => /\.(?:crt|pem)$/.test(name))
    return certificates.map(name => {
      const [certificate, keyName] = [join(directory, name), name.replace(/\.(?:crt|pem)$/, '.key')]
      if (names.includes(keyName)) return { certificate, key: join(directory, keyName), isNamed: false }
      const message = `${certificate}: its key ${join(directory, keyName)} is missing`
      return { error: new GatewayError('FILE_UNREADABLE', message), isNamed: false }
    })
  } catch (cause) {
    return [{ error: new GatewayError('FILE_UNREADABLE', `${directory}: ${messageOf(cause)}`, { cause }), isNamed: true }]
  }
}

const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
