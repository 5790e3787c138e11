import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { GatewayError } from '../../errors.ts'
import type { ExactUses, Peers } from '../../peers/peers.ts'
import { Recent } from '../../rates/recent.ts'
import type { Share } from './share.ts'

const OWNER_ONLY = 0o700
/** Shares that are known to be used up. */
const MAX_KNOWN = 10_000
const KNOWN_MS = 600_000

/** Of what processes tell each other. */
const TOPIC = 'share'
/** Before the number of a line that says how many uses there are, of all processes. */
const TOTAL = '='

/** The part by which all processes of several machines agree on who came first. */
export interface SharedUses {
  readonly exact: ExactUses
  readonly peers: Peers
  /** ms since 1970 */
  readonly nowMs: () => number
}

/**
 * How often shares were used: a file for each, with a line for each use. Whoever uses one adds a line, and then looks where it stands; so all
 * requests and all processes of a machine agree on who came first, nobody waits for a lock, and a restart forgets nothing. Processes of several machines ask
 * for a number that all have in common, and the file has what this machine knows of it: where the number is lost, it goes on from there.
 */
export class ShareUses {
  readonly #usedUp: Recent<true>

  /** @param clock  milliseconds, rising @param shared  undefined: all processes have the same files */
  constructor(
    private readonly directory: string,
    clock: () => number,
    private readonly shared?: SharedUses,
  ) {
    this.#usedUp = new Recent(MAX_KNOWN, KNOWN_MS, clock)
    shared?.peers.hear(TOPIC, message => this.#heard(message))
  }

  /** Uses a share once. @returns false when it is used up. @throws GatewayError USES_UNKNOWN; Error when that cannot be written down; as rejections */
  async take(share: Pick<Share, 'id' | 'expiresMs' | 'maxUses'>): Promise<boolean> {
    const { id, maxUses } = share
    if (maxUses === undefined) return true
    if (this.#usedUp.get(id) === true) return false
    const isLeft = await (this.shared === undefined ? this.#takeHere(share, maxUses) : this.#takeOfAll(share, maxUses, this.shared))
    if (!isLeft) this.#usedUp.set(id, true)
    return isLeft
  }

  async #takeHere(share: Pick<Share, 'id' | 'expiresMs'>, maxUses: number): Promise<boolean> {
    const mark = randomBytes(9).toString('base64url')
    await this.#write(share, mark)
    const marks = (await this.#read(share)).split('\n')
    const place = marks.indexOf(mark)
    return place >= 0 && usesIn(marks.slice(0, place)) < maxUses
  }

  async #takeOfAll(share: Pick<Share, 'id' | 'expiresMs'>, maxUses: number, { exact, peers, nowMs }: SharedUses): Promise<boolean> {
    const { id, expiresMs } = share
    const known = usesIn((await this.#read(share)).split('\n'))
    const taken = await exact.take(`share ${id}`, { max: maxUses, known, lastsMs: expiresMs - nowMs() })
    if (taken === undefined) throw new GatewayError('USES_UNKNOWN', `how often the share ${id} was used cannot be asked at the moment`)
    if (taken === 0) return false
    await this.#write(share, `${TOTAL}${taken}`)
    peers.tell(TOPIC, { id, expiresMs, taken })
    return true
  }

  /** Another machine knows of so many uses. */
  #heard(message: unknown): void {
    const { id, expiresMs, taken } = (message ?? {}) as Partial<Record<string, unknown>>
    if (typeof id !== 'string' || typeof expiresMs !== 'number' || !Number.isSafeInteger(taken)) return
    if (!FILE_NAME.test(fileNameOf({ id, expiresMs }))) return
    // What cannot be written down is known to the others all the same.
    void this.#write({ id, expiresMs }, `${TOTAL}${taken as number}`).catch(() => undefined)
  }

  async #write(share: Pick<Share, 'id' | 'expiresMs'>, line: string): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: OWNER_ONLY })
    await appendFile(path.join(this.directory, fileNameOf(share)), `${line}\n`, { mode: 0o600 })
  }

  #read(share: Pick<Share, 'id' | 'expiresMs'>): Promise<string> {
    return readFile(path.join(this.directory, fileNameOf(share)), 'utf8').catch((thrown: unknown) => {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return ''
      throw thrown
    })
  }

  /** Uses of a share so far, refused ones left out. */
  async count(share: Pick<Share, 'id' | 'expiresMs'> & { readonly maxUses: number | null }): Promise<number | undefined> {
    if (share.maxUses === null) return undefined
    const text = await this.#read(share).catch(() => '')
    return Math.min(share.maxUses, usesIn(text.split('\n')))
  }

  /** Forgets what is over. Files that nobody needs are all that is left when it fails. @param now  ms since 1970 */
  async tidy(now: number): Promise<void> {
    const names = await readdir(this.directory).catch(() => [])
    const over = names.filter(name => Number(FILE_NAME.exec(name)?.[1] ?? Infinity) < now)
    await Promise.all(over.map(name => rm(path.join(this.directory, name), { force: true }).catch(() => undefined)))
  }
}

const FILE_NAME = /^(?:[0-9a-f]{16}|[0-9a-f-]{36})-(\d{1,15})$/

/** The lines of single uses, or the highest number that a line says. */
function usesIn(lines: readonly string[]): number {
  let singles = 0
  let highest = 0
  for (const line of lines)
    if (line.startsWith(TOTAL)) highest = Math.max(highest, Number(line.slice(TOTAL.length)) || 0)
    else if (line !== '') singles++
  return Math.max(singles, highest)
}

/** Only ids of ours get here: they were sealed. */
const fileNameOf = ({ id, expiresMs }: Pick<Share, 'id' | 'expiresMs'>): string => `${id}-${Math.round(expiresMs)}`
