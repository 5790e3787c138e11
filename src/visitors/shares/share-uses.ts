import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { Recent } from '../../rates/recent.ts'
import type { Share } from './share.ts'

const OWNER_ONLY = 0o700
/** Shares that are known to be used up. */
const MAX_KNOWN = 10_000
const KNOWN_MS = 600_000

/**
 * How often shares were used: a file for each, with a line for each use. Whoever uses one adds a line, and then looks where it stands; so all
 * requests and all processes of a machine agree on who came first, nobody waits for a lock, and a restart forgets nothing.
 */
export class ShareUses {
  readonly #usedUp: Recent<true>

  /** @param clock  milliseconds, rising */
  constructor(
    private readonly directory: string,
    clock: () => number,
  ) {
    this.#usedUp = new Recent(MAX_KNOWN, KNOWN_MS, clock)
  }

  /** Uses a share once. @returns false when it is used up. @throws Error when that cannot be written down, as a rejection */
  async take(share: Pick<Share, 'id' | 'expiresMs' | 'maxUses'>): Promise<boolean> {
    const { id, maxUses } = share
    if (maxUses === undefined) return true
    if (this.#usedUp.get(id) === true) return false
    const file = path.join(this.directory, fileNameOf(share))
    await mkdir(this.directory, { recursive: true, mode: OWNER_ONLY })
    const mark = randomBytes(9).toString('base64url')
    await appendFile(file, `${mark}\n`, { mode: 0o600 })
    const marks = (await readFile(file, 'utf8')).split('\n')
    const place = marks.indexOf(mark)
    if (place >= 0 && place < maxUses) return true
    this.#usedUp.set(id, true)
    return false
  }

  /** Uses of a share so far, refused ones left out. */
  async count(share: Pick<Share, 'id' | 'expiresMs'> & { readonly maxUses: number | null }): Promise<number | undefined> {
    if (share.maxUses === null) return undefined
    const text = await readFile(path.join(this.directory, fileNameOf(share)), 'utf8').catch(() => '')
    return Math.min(share.maxUses, text.split('\n').length - 1)
  }

  /** Forgets what is over. Files that nobody needs are all that is left when it fails. @param now  ms since 1970 */
  async tidy(now: number): Promise<void> {
    const names = await readdir(this.directory).catch(() => [])
    const over = names.filter(name => Number(/^(?:[0-9a-f]{16}|[0-9a-f-]{36})-(\d{1,15})$/.exec(name)?.[1] ?? Infinity) < now)
    await Promise.all(over.map(name => rm(path.join(this.directory, name), { force: true }).catch(() => undefined)))
  }
}

/** Only ids of ours get here: they were sealed. */
const fileNameOf = ({ id, expiresMs }: Pick<Share, 'id' | 'expiresMs'>): string => `${id}-${Math.round(expiresMs)}`
