import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError, messageOf } from '../errors.ts'
import { parseJson } from './api-error.ts'

/** The result of a login, for the next command. */
export interface Credentials {
  readonly token: string
  readonly email: string
  readonly accountId: string
  /** RFC 3339. */
  readonly expiresAt: string
}

interface Contents {
  readonly version: 1
  /** The one that commands use when none is named. */
  readonly current: string | null
  readonly servers: Readonly<Record<string, Credentials>>
}

const EMPTY: Contents = Object.freeze({ version: 1, current: null, servers: Object.freeze({}) })

/**
 * The file of logins, one for each server: `credentials.json`, readable for its owner alone, replaced in one step.
 * Servers are named as `textOfServer` gives them.
 */
export class CredentialsFile {
  constructor(readonly path: string) {}

  /** The login at `server`. @throws GatewayError FILE_UNREADABLE, also for a file that others can read */
  async read(server: string): Promise<Credentials | undefined> {
    const { servers } = await this.#load()
    return Object.hasOwn(servers, server) ? servers[server] : undefined
  }

  /** The server of the last login; undefined: there was none. */
  async currentServer(): Promise<string | undefined> {
    return (await this.#load()).current ?? undefined
  }

  /** Keeps a login and makes its server the current one. */
  async write(server: string, credentials: Credentials): Promise<void> {
    const { servers } = await this.#load()
    await this.#save({ version: 1, current: server, servers: { ...servers, [server]: credentials } })
  }

  /** Keeps a renewed token, unless the login is gone by now. */
  async renew(server: string, renewed: Pick<Credentials, 'token' | 'expiresAt'>): Promise<void> {
    const contents = await this.#load()
    const old = Object.hasOwn(contents.servers, server) ? contents.servers[server] : undefined
    if (old !== undefined) await this.#save({ ...contents, servers: { ...contents.servers, [server]: { ...old, ...renewed } } })
  }

  /** Forgets a login. @returns whether there was one */
  async remove(server: string): Promise<boolean> {
    const { current, servers } = await this.#load()
    if (!Object.hasOwn(servers, server)) return false
    const left = Object.fromEntries(Object.entries(servers).filter(([name]) => name !== server))
    await this.#save({ version: 1, current: current === server ? (Object.keys(left)[0] ?? null) : current, servers: left })
    return true
  }

  async #load(): Promise<Contents> {
    let text: string
    try {
      const { mode } = await stat(this.path)
      // Windows has no such bits; there Node.js says 0o666 for every file.
      if ((mode & 0o077) !== 0 && (mode & 0o777) !== 0o666)
        throw new GatewayError('FILE_UNREADABLE', `${this.path}: other accounts of this machine can read it; chmod 600 it, or log in again`)
      text = await readFile(this.path, 'utf8')
    } catch (cause) {
      if ((cause as { code?: unknown }).code === 'ENOENT') return EMPTY
      if (cause instanceof GatewayError) throw cause
      throw new GatewayError('FILE_UNREADABLE', `${this.path}: ${messageOf(cause)}`, { cause })
    }
    const contents = contentsOf(parseJson(text))
    if (contents === undefined)
      throw new GatewayError('FILE_UNREADABLE', `${this.path} holds no logins of this program; remove it and log in again`)
    return contents
  }

  async #save(contents: Contents): Promise<void> {
    const staged = `${this.path}.${randomBytes(6).toString('hex')}`
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 })
      const file = await open(staged, 'wx', 0o600)
      try {
        await file.writeFile(`${JSON.stringify(contents, null, 2)}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await chmod(staged, 0o600) // whatever the umask is
      await rename(staged, this.path)
    } catch (cause) {
      await rm(staged, { force: true }).catch(() => undefined)
      throw new GatewayError('FILE_UNREADABLE', `${this.path} cannot be written: ${messageOf(cause)}`, { cause })
    }
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'

function contentsOf(value: unknown): Contents | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { current, servers } = value as { current?: unknown; servers?: unknown }
  if (typeof servers !== 'object' || servers === null) return undefined
  const sound = Object.entries(servers as Record<string, Partial<Credentials> | null>).filter(
    (entry): entry is [string, Credentials] =>
      entry[1] !== null && [entry[1].token, entry[1].email, entry[1].accountId, entry[1].expiresAt].every(isText),
  )
  return { version: 1, current: isText(current) ? current : null, servers: Object.fromEntries(sound) }
}
