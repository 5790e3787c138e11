import { GatewayError } from '../../errors.ts'
import type { Access } from '../../route/access.ts'
import type { VisitorsConfig } from '../config.ts'

interface Completed {
  readonly providers: readonly string[]
  readonly access: Access
}

/**
 * Says by whom visitors log in where a rule does not: owners of sockets name people, and the operator those who vouch for them; and a provider
 * that is for sockets alone, or that is no more, lets nobody in at a target of the operator.
 */
export class DefaultedProviders {
  /** One for each rule, since lanes remember what they have judged by it. */
  readonly #completed = new WeakMap<Access, Completed>()
  /** One list for each map, for the same reason: that in force. */
  #names: { readonly of: VisitorsConfig['providers']; readonly names: readonly string[] } | undefined

  constructor(private readonly config: () => Pick<VisitorsConfig, 'providers' | 'socketProviders' | 'targetProviders'>) {}

  /** Returns what is demanded, with providers. @throws GatewayError VISITOR_LOGIN_MISSING for a socket, where there is none */
  complete(access: Access): Access {
    const { login, ofSocket } = access
    if (login === undefined || (ofSocket === undefined && login.providers !== undefined)) return access
    const providers = ofSocket === undefined ? this.#ofTargets() : this.config().socketProviders
    if (ofSocket !== undefined && providers.length === 0)
      throw new GatewayError('VISITOR_LOGIN_MISSING', 'the file of --visitors has no provider for sockets')
    const known = this.#completed.get(access)
    if (known?.providers === providers) return known.access
    const completed = Object.freeze({ ...access, login: Object.freeze({ ...login, providers }) })
    this.#completed.set(access, { providers, access: completed })
    return completed
  }

  #ofTargets(): readonly string[] {
    const { providers, targetProviders } = this.config()
    if (targetProviders !== undefined) return targetProviders
    const known = this.#names
    if (known?.of === providers) return known.names
    const names = Object.freeze([...providers.keys()])
    this.#names = { of: providers, names }
    return names
  }
}
