import { GatewayError, messageOf } from '../../errors.ts'
import type { JwtRule } from '../../route/access.ts'
import { fetchJson } from './fetch-json.ts'
import { fetchPublicJson } from './fetch-public-json.ts'
import { readIssuerKeys, type IssuerKey } from './issuer-key.ts'

/** Keys are fetched again after so long, while those that are known go on. */
const REFRESH_MS = 600_000
/** Between two attempts: whoever makes key ids up has the issuer asked no more often. */
const COOL_DOWN_MS = 30_000
/** While an issuer is away, its keys are good for so long. */
const MAX_AGE_MS = 24 * 3_600_000

/** The keys of an issuer, fetched when they are needed. */
export class IssuerKeys {
  #keys: ReadonlyMap<string, IssuerKey> = new Map()
  #fetchedMs = -Infinity
  #triedMs = -Infinity
  #failure: string | undefined
  #loading: Promise<void> | undefined

  /**
   * @param rule   names the issuer, and where its keys are
   * @param clock  milliseconds, rising
   * @param get    gets a document
   */
  constructor(
    private readonly rule: Pick<JwtRule, 'issuer' | 'jwks' | 'isPublicOnly'>,
    private readonly clock: () => number,
    private readonly get: (url: string) => Promise<unknown> = rule.isPublicOnly === true ? fetchPublicJson : fetchJson,
  ) {}

  /**
   * The key with this id; of an issuer with one key, that one for no id. A promise when it has to be fetched.
   * @returns undefined for an id that the issuer does not have
   * @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection too, when the keys cannot be had
   */
  find(id: string | undefined): IssuerKey | undefined | Promise<IssuerKey | undefined> {
    const now = this.clock()
    const known = now - this.#fetchedMs < MAX_AGE_MS ? this.#known(id) : undefined
    const mayTry = now - this.#triedMs >= COOL_DOWN_MS
    if (known !== undefined) {
      if (now - this.#fetchedMs >= REFRESH_MS && mayTry) void this.#load()
      return known
    }
    if (this.#loading === undefined && !mayTry) return this.#lost(id)
    return (this.#loading ?? this.#load()).then(() => this.#lost(id))
  }

  #known(id: string | undefined): IssuerKey | undefined {
    if (id !== undefined) return this.#keys.get(id)
    return this.#keys.size === 1 ? [...this.#keys.values()][0] : this.#keys.get('')
  }

  /** After a look that was just made, or could not be. */
  #lost(id: string | undefined): IssuerKey | undefined {
    const known = this.clock() - this.#fetchedMs < MAX_AGE_MS ? this.#known(id) : undefined
    if (known === undefined && this.#failure !== undefined)
      throw new GatewayError('VISITOR_PROVIDER_AWAY', `the keys of ${this.rule.issuer} cannot be had: ${this.#failure}`)
    return known
  }

  /** Never rejects. */
  #load(): Promise<void> {
    this.#triedMs = this.clock()
    return (this.#loading = this.#fetch()
      .then(
        keys => {
          this.#keys = keys
          this.#fetchedMs = this.clock()
          this.#failure = undefined
        },
        (error: unknown) => {
          this.#failure = reasonOf(error)
        },
      )
      .finally(() => (this.#loading = undefined)))
  }

  async #fetch(): Promise<ReadonlyMap<string, IssuerKey>> {
    const url = this.rule.jwks ?? (await this.#discover())
    const fresh = readIssuerKeys(await this.get(url))
    if (fresh === undefined) throw new Error(`${url} is no set of keys`)
    // What has not changed stays the same object, and what it has verified stays verified.
    return new Map([...fresh].map(([id, key]) => [id, this.#keys.get(id)?.text === key.text ? this.#keys.get(id)! : key]))
  }

  /** Where the keys are, as the issuer says (OpenID Connect Discovery 1.0 §4): at the issuer, or else the targets file has to say so. */
  async #discover(): Promise<string> {
    const { issuer } = this.rule
    const document = await this.get(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
    const { issuer: own, jwks_uri: url } = (document ?? {}) as { readonly issuer?: unknown; readonly jwks_uri?: unknown }
    if (own !== issuer) throw new Error('its configuration is for another issuer')
    if (typeof url !== 'string' || !URL.canParse(url)) throw new Error('its configuration names no keys')
    if (new URL(url).origin !== new URL(issuer).origin) throw new Error(`its keys are at ${new URL(url).origin}: name their URL with jwks`)
    return url
  }
}

/** `fetch failed` says nothing; its cause does. */
const reasonOf = (error: unknown): string => {
  const { cause } = error as { readonly cause?: unknown }
  return cause instanceof Error ? messageOf(cause) : messageOf(error)
}
