import type { ProviderConfig, VisitorsConfig } from '../config.ts'
import { AccountsProvider, type AccountCheck } from './accounts-provider.ts'
import { OAuthProvider } from './oauth-provider.ts'
import { OidcProvider } from './oidc-provider.ts'
import type { Provider } from './provider.ts'
import { SamlProvider } from './saml-provider.ts'

/** The providers in force, each made once. */
export class Providers {
  readonly #made = new WeakMap<ProviderConfig, Provider>()

  /**
   * @param clock     ms since 1970
   * @param accounts  those of the service, where there is one
   */
  constructor(
    private readonly config: () => VisitorsConfig,
    private readonly clock: () => number,
    private readonly accounts?: AccountCheck,
  ) {}

  find(name: string): Provider | undefined {
    const config = this.config().providers.get(name)
    if (config === undefined) return undefined
    let provider = this.#made.get(config)
    if (provider === undefined) {
      provider = this.#make(config)
      this.#made.set(config, provider)
    }
    return provider
  }

  /** Looks whether they can be used, as far as that is known without the network. @throws GatewayError CONFIG_INVALID, as a rejection */
  async check(): Promise<void> {
    for (const name of this.config().providers.keys()) await this.find(name)?.check?.()
  }

  #make(config: ProviderConfig): Provider {
    if (config.saml !== undefined) return new SamlProvider(config, config.saml, this.clock)
    if (config.kind === 'accounts') return new AccountsProvider(config, this.accounts)
    return config.kind === 'github' || config.kind === 'facebook' ? new OAuthProvider(config) : new OidcProvider(config, this.clock)
  }

  /** Those of the names that there are; of no names: all. */
  of(names: readonly string[] | undefined): readonly ProviderConfig[] {
    const { providers } = this.config()
    return names === undefined ? [...providers.values()] : names.map(name => providers.get(name)).filter(each => each !== undefined)
  }
}
