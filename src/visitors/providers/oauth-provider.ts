import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { ProviderConfig } from '../config.ts'
import { callProvider, mapOf } from './oauth-call.ts'
import { personOf } from './person.ts'
import type { LoginEnd, LoginReturn, LoginStart, LoginWish, Provider } from './provider.ts'

/** The habits that one of them has for itself. */
interface Dialect {
  readonly scopes: readonly string[]
  authorizeUrl(issuer: string): URL
  tokenUrl(issuer: string): URL
  /** Asks who it is; the answer in the claims of OpenID Connect. */
  claims(config: ProviderConfig, accessToken: string): Promise<Readonly<Record<string, unknown>> | undefined>
}

const failed = (reason: string): LoginEnd => ({ kind: 'failed', failure: 'failed', reason })

/** Login by OAuth 2 alone (RFC 6749, 7636), which says nothing of who somebody is: that is asked by calls of the provider's own. */
export class OAuthProvider implements Provider {
  readonly comesBackBy = 'query'
  readonly #dialect: Dialect

  constructor(readonly config: ProviderConfig) {
    this.#dialect = config.kind === 'facebook' ? FACEBOOK : GITHUB
  }

  begin({ redirectUri, state }: LoginWish): Promise<LoginStart> {
    const { issuer, clientId, scopes } = this.config
    const verifier = randomBytes(32).toString('base64url')
    const url = this.#dialect.authorizeUrl(issuer)
    for (const [name, value] of Object.entries({
      client_id: clientId,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: [...new Set([...this.#dialect.scopes, ...scopes])].join(' '),
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }))
      url.searchParams.set(name, value)
    return Promise.resolve({ url: url.href, secret: verifier })
  }

  async finish(
    { url: returned }: LoginReturn,
    verifier: string,
    { state, redirectUri }: Pick<LoginWish, 'state' | 'redirectUri'>,
  ): Promise<LoginEnd> {
    const only = (name: string): string | undefined => {
      const values = returned.searchParams.getAll(name)
      return values.length === 1 ? values[0] : undefined
    }
    if (only('state') !== state) return failed('another state')
    const error = only('error')
    if (error !== undefined)
      return {
        kind: 'failed',
        failure: error === 'access_denied' ? 'cancelled' : 'failed',
        reason: `the provider says ${error.slice(0, 100)}`,
      }
    const code = only('code')
    if (code === undefined) return failed('no code')
    const { issuer, clientId, clientSecret } = this.config
    const { value } = await callProvider(this.#dialect.tokenUrl(issuer), {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        client_id: clientId,
        client_secret: clientSecret,
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        code_verifier: verifier,
      }).toString(),
    })
    // GitHub says 200 for a code that it refuses.
    const { access_token: token } = mapOf(value)
    if (typeof token !== 'string' || token === '') return failed('the provider refuses the code')
    const claims = await this.#dialect.claims(this.config, token)
    return claims === undefined ? failed('the provider does not say who it is') : personOf(this.config, claims)
  }
}

const base = (issuer: string): string => issuer.replace(/\/$/, '')

/** github.com, or an Enterprise Server, whose API is below the same host. */
const GITHUB: Dialect = {
  scopes: ['read:user', 'user:email'],
  authorizeUrl: issuer => new URL(`${base(issuer)}/login/oauth/authorize`),
  tokenUrl: issuer => new URL(`${base(issuer)}/login/oauth/access_token`),
  async claims({ issuer, scopes }, token) {
    const api = base(issuer) === 'https://github.com' ? 'https://api.github.com' : `${base(issuer)}/api/v3`
    const headers = { accept: 'application/vnd.github+json', authorization: `Bearer ${token}`, 'user-agent': 'socket-gateway' }
    const ask = async (path: string): Promise<unknown> => {
      const { status, value } = await callProvider(new URL(`${api}${path}`), { headers })
      return status === 200 ? value : undefined
    }
    const user = mapOf(await ask('/user'))
    const { id, name, login } = user
    if (typeof id !== 'number') return undefined
    // Thirty of each come by default, and the primary address may be a later one.
    const emails = await ask('/user/emails?per_page=100')
    // The one that is shown on a profile need not be verified, and may be nobody's.
    const primary = (Array.isArray(emails) ? emails : []).map(mapOf).find(each => each['primary'] === true)
    const groups = scopes.includes('read:org') ? await ask('/user/orgs?per_page=100') : undefined
    return {
      sub: String(id),
      name: name ?? login,
      ...(typeof primary?.['email'] === 'string' && { email: primary['email'], email_verified: primary['verified'] === true }),
      groups: (Array.isArray(groups) ? groups : []).map(each => mapOf(each)['login']).filter(each => typeof each === 'string'),
    }
  },
}

const VERSION = 'v21.0'

/** Facebook gives an address only when its owner has confirmed it, and leaves the field out otherwise. */
const FACEBOOK: Dialect = {
  scopes: ['email', 'public_profile'],
  authorizeUrl: issuer => new URL(`${base(issuer)}/${VERSION}/dialog/oauth`),
  tokenUrl: issuer => new URL(`${graphOf(issuer)}/${VERSION}/oauth/access_token`),
  async claims({ issuer, clientSecret }, token) {
    const url = new URL(`${graphOf(issuer)}/${VERSION}/me`)
    url.searchParams.set('fields', 'id,name,email')
    // A token of another app is worth nothing with it.
    url.searchParams.set('appsecret_proof', createHmac('sha256', clientSecret).update(token).digest('hex'))
    const { status, value } = await callProvider(url, { headers: { accept: 'application/json', authorization: `Bearer ${token}` } })
    const { id, name, email } = mapOf(value)
    if (status !== 200 || typeof id !== 'string') return undefined
    return { sub: id, name, ...(typeof email === 'string' && { email, email_verified: true }) }
  },
}

const graphOf = (issuer: string): string => (base(issuer) === 'https://www.facebook.com' ? 'https://graph.facebook.com' : base(issuer))
