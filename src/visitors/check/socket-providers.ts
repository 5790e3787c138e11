import { GatewayError } from '../../errors.ts'
import type { Access } from '../../route/access.ts'

/** Says by whom visitors of sockets of the service log in: owners of sockets name people, and the operator those who vouch for them. */
export class SocketProviders {
  #providers: readonly string[] = []
  /** One for each rule, since lanes remember what they have judged by it. */
  #completed = new WeakMap<Access, Access>()

  /** @param providers  names of those in force, the same list as long as nothing changes */
  constructor(private readonly providers: () => readonly string[]) {}

  /** Returns what is demanded, with providers where it is a socket that asks. @throws GatewayError VISITOR_LOGIN_MISSING */
  complete(access: Access): Access {
    const { login, ofSocket } = access
    if (ofSocket === undefined || login === undefined) return access
    const providers = this.providers()
    if (providers.length === 0) throw new GatewayError('VISITOR_LOGIN_MISSING', 'the file of --visitors has no provider for sockets')
    if (providers !== this.#providers) {
      this.#providers = providers
      this.#completed = new WeakMap()
    }
    let completed = this.#completed.get(access)
    if (completed === undefined) {
      completed = Object.freeze({ ...access, login: Object.freeze({ ...login, providers }) })
      this.#completed.set(access, completed)
    }
    return completed
  }
}
