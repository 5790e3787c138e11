import type * as OpenIdClient from 'openid-client'
import { GatewayError, messageOf } from '../../errors.ts'
import type { ProviderConfig } from '../config.ts'
import { personOf } from './person.ts'
import { PROVIDER_MS, type LoginEnd, type LoginReturn, type LoginStart, type LoginWish, type Provider } from './provider.ts'

/** The time after which a provider is asked again about itself. */
const DISCOVERED_MS = 60_000

interface Secret {
  readonly nonce: string
  readonly verifier: string
}

interface Discovered {
  readonly atMs: number
  readonly configuration: Promise<OpenIdClient.Configuration>
}

/** Loads the library when somebody logs in, and not before. */
const library = (): Promise<typeof OpenIdClient> => import('openid-client')

/** OpenID Connect: discovery, authorization code with PKCE, state and nonce; ID tokens verified by the keys of the provider. */
export class OidcProvider implements Provider {
  readonly comesBackBy = 'query'
  #discovered: Discovered | undefined

  /** @param clock  ms since 1970 */
  constructor(
    readonly config: ProviderConfig,
    private readonly clock: () => number,
  ) {}

  async begin({ redirectUri, state, asksAgain }: LoginWish): Promise<LoginStart> {
    const client = await library()
    const configuration = await this.#discover(client, true)
    const secret: Secret = { nonce: client.randomNonce(), verifier: client.randomPKCECodeVerifier() }
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: [...new Set(['openid', 'email', 'profile', ...this.config.scopes])].join(' '),
      state,
      nonce: secret.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(secret.verifier),
      code_challenge_method: 'S256',
      // Google does not know `login`.
      ...(asksAgain && { prompt: this.config.kind === 'google' ? 'select_account' : 'login' }),
    })
    return { url: url.href, secret: JSON.stringify(secret) }
  }

  async finish({ url: returned }: LoginReturn, secret: string, { state }: Pick<LoginWish, 'state'>): Promise<LoginEnd> {
    const client = await library()
    const { nonce, verifier } = JSON.parse(secret) as Secret
    const configuration = await this.#discover(client, false)
    try {
      const tokens = await client.authorizationCodeGrant(configuration, returned, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      })
      const claims = tokens.claims()
      if (claims === undefined) return { kind: 'failed', failure: 'failed', reason: 'no ID token' }
      return personOf(this.config, await this.#complete(client, configuration, claims, tokens.access_token))
    } catch (error) {
      return this.#failure(client, error)
    }
  }

  /** RP-Initiated Logout §2. The provider asks whoever comes, since no ID token is kept that would tell it who that is. */
  async endUrl(returnUri: string): Promise<string | undefined> {
    const client = await library()
    const configuration = await this.#discover(client, false)
    const { end_session_endpoint: place } = configuration.serverMetadata()
    // Only to a page: what the provider says of itself is no reason to run a script of its.
    if (place === undefined || !isPage(place, this.config.issuer)) return undefined
    return client.buildEndSessionUrl(configuration, { post_logout_redirect_uri: returnUri }).href
  }

  /** Providers are free to say some of it in the answer of UserInfo alone. What the ID token says goes first. */
  async #complete(
    client: typeof OpenIdClient,
    configuration: OpenIdClient.Configuration,
    claims: OpenIdClient.IDToken,
    accessToken: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    const wanted = ['email', 'name', ...(this.config.keptGroups === undefined ? [] : [this.config.groupsClaim]), ...this.config.keptClaims]
    const isWhole = wanted.every(name => Object.hasOwn(claims, name)) && Object.hasOwn(claims, this.config.groupsClaim)
    if (isWhole || configuration.serverMetadata().userinfo_endpoint === undefined) return claims
    const more = await client.fetchUserInfo(configuration, accessToken, claims.sub)
    // An address and its verification come from the same place.
    const { email, email_verified: isVerified } = Object.hasOwn(claims, 'email') ? claims : more
    return { ...more, ...claims, email, email_verified: isVerified }
  }

  #failure(client: typeof OpenIdClient, error: unknown): LoginEnd {
    if (error instanceof client.AuthorizationResponseError) {
      const isCancelled = error.error === 'access_denied' || error.error === 'login_required'
      return { kind: 'failed', failure: isCancelled ? 'cancelled' : 'failed', reason: `the provider says ${error.error.slice(0, 100)}` }
    }
    if (error instanceof client.ResponseBodyError && error.status < 500)
      return { kind: 'failed', failure: 'failed', reason: `the provider refuses the code: ${error.error.slice(0, 100)}` }
    if (isAway(error)) throw this.#away(error)
    return { kind: 'failed', failure: 'failed', reason: reasonOf(error) }
  }

  /** @param isFresh  as the provider says it now */
  async #discover(client: typeof OpenIdClient, isFresh: boolean): Promise<OpenIdClient.Configuration> {
    const known = this.#discovered
    const now = this.clock()
    if (known !== undefined && (!isFresh || now - known.atMs < DISCOVERED_MS)) {
      const configuration = await known.configuration.catch(() => undefined)
      if (configuration !== undefined) return configuration
    }
    const { issuer, clientId, clientSecret } = this.config
    const configuration = client.discovery(new URL(issuer), clientId, clientSecret, undefined, {
      timeout: PROVIDER_MS / 1000,
      execute: [
        client.enableNonRepudiationChecks,
        // The file lets http through to this machine alone.
        // eslint-disable-next-line @typescript-eslint/no-deprecated -- it is not: the mark is a warning to whoever uses it
        ...(issuer.startsWith('http:') ? [client.allowInsecureRequests] : []),
      ],
    })
    this.#discovered = { atMs: now, configuration }
    try {
      return await configuration
    } catch (error) {
      this.#discovered = undefined
      throw this.#away(error)
    }
  }

  #away(cause: unknown): GatewayError {
    return new GatewayError('VISITOR_PROVIDER_AWAY', `${this.config.issuer}: ${reasonOf(cause)}`, { cause })
  }
}

const isPage = (url: string, issuer: string): boolean =>
  URL.canParse(url) && (new URL(url).protocol === 'https:' || (issuer.startsWith('http:') && new URL(url).protocol === 'http:'))

/** Did the provider not answer at all, or with a fault of its own? */
function isAway(error: unknown): boolean {
  const { code, status, cause, name } = error as { code?: unknown; status?: unknown; cause?: unknown; name?: unknown }
  if (typeof status === 'number' && status >= 500) return true
  if (name === 'TimeoutError' || code === 'OAUTH_TIMEOUT' || (error instanceof TypeError && error.message === 'fetch failed')) return true
  return cause !== undefined && cause !== null && cause !== error && typeof cause === 'object' && isAway(cause)
}

/** The whole chain in a few words: the library keeps the interesting part in the cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  const more = cause instanceof Error && messageOf(cause) !== messageOf(error) ? `: ${messageOf(cause)}` : ''
  return `${messageOf(error)}${more}`.slice(0, 300)
}
