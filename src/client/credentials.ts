import { GatewayError } from '../errors.ts'
import { PrivateFile } from './private-file.ts'

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
  readonly #file: PrivateFile

  constructor(readonly path: string) {
    this.#file = new PrivateFile(path)
  }

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
    const value = await this.#file.read()
    if (value === undefined) return EMPTY
    const contents = contentsOf(value)
    if (contents === undefined)
      throw new GatewayError('FILE_UNREADABLE', `${this.path} holds no logins of this program; remove it and log in again`)
    return contents
  }

  #save(contents: Contents): Promise<void> {
    return this.#file.write(contents)
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
