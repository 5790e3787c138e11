import { GatewayError } from '../errors.ts'
import { ApiError } from './api-error.ts'
import type { CredentialsFile } from './credentials.ts'
import { textOfServer } from './server-url.ts'
import { ServiceClient } from './service-client.ts'
import type { TransportOptions } from './transport.ts'
import type { Login } from './wire.ts'

/** Where a login is kept, and how its server is reached. */
export interface SessionOptions extends TransportOptions {
  readonly file: CredentialsFile
  /** A token that is used instead of a login, such as an API token; it is neither kept nor renewed. */
  readonly apiToken?: string | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** A token is renewed when less is left of it than this: 300 minutes is what it has. */
const RENEW_MS = 60 * 60_000
const LOOK_MS = 5 * 60_000

/** A login at one server: its token, kept in the file and renewed before it is over. */
export class Session {
  /** Calls with the token of the login. */
  readonly client: ServiceClient
  #token: string | undefined
  #expiresAtMs = 0
  #renewing: Promise<void> | undefined

  constructor(private readonly options: SessionOptions) {
    this.#token = options.apiToken
    this.client = new ServiceClient({ ...options, token: () => this.#token })
  }

  /**
   * Reads the login from the file, and renews it when it is time.
   * @throws GatewayError UNAUTHENTICATED with the command that helps when there is none, or it is over
   */
  async open(): Promise<this> {
    const { file, server, apiToken, now } = this.options
    if (apiToken !== undefined) return this
    const kept = await file.read(textOfServer(server))
    if (kept === undefined) throw loginFirst(`there is no login at ${textOfServer(server)}`)
    this.#token = kept.token
    this.#expiresAtMs = Date.parse(kept.expiresAt)
    if (!(this.#expiresAtMs > now())) throw loginFirst(`the login at ${textOfServer(server)} is over`)
    await this.renewWhenDue()
    return this
  }

  /** Logs in and keeps the login. */
  async login(email: string, password: string): Promise<Login> {
    const { file, server } = this.options
    const login = await this.client.login(email, password)
    this.#take(login)
    await file.write(textOfServer(server), { token: login.token, email, accountId: login.accountId, expiresAt: login.expiresAt })
    return login
  }

  /**
   * Renews the token when less than an hour is left of it. An API that is away is asked again the next time.
   * @throws GatewayError UNAUTHENTICATED when the login has been ended
   */
  async renewWhenDue(): Promise<void> {
    if (this.options.apiToken !== undefined || this.#token === undefined) return
    if (this.#expiresAtMs - this.options.now() >= RENEW_MS) return
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined))
    await this.#renewing
  }

  /** Renews the token as long as the program runs. @param failed  the login has been ended @returns ends it */
  keepAlive(failed: (error: GatewayError) => void): () => void {
    const timer = setInterval(() => {
      this.renewWhenDue().catch((thrown: unknown) => {
        if (thrown instanceof GatewayError) failed(thrown)
      })
    }, LOOK_MS)
    timer.unref()
    return () => clearInterval(timer)
  }

  async #renew(): Promise<void> {
    const { file, server } = this.options
    try {
      const login = await this.client.refresh()
      this.#take(login)
      await file.renew(textOfServer(server), login)
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.code === 'UNAUTHENTICATED')
        throw loginFirst(`the login at ${textOfServer(server)} was ended`)
      if (thrown instanceof GatewayError && this.#expiresAtMs > this.options.now()) return // it is still good
      throw thrown
    }
  }

  #take({ token, expiresAt }: Login): void {
    this.#token = token
    this.#expiresAtMs = Date.parse(expiresAt)
  }
}

const loginFirst = (why: string): GatewayError => new GatewayError('UNAUTHENTICATED', `${why}; log in with "socket-gateway login"`)
