/** Providers by themselves: what they say is believed only as far as it proves itself. */
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { createHash, createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { GatewayError } from '../../src/errors.ts'
import type { ProviderConfig, ProviderKind } from '../../src/visitors/config.ts'
import { OAuthProvider } from '../../src/visitors/providers/oauth-provider.ts'
import { OidcProvider } from '../../src/visitors/providers/oidc-provider.ts'
import type { LoginEnd, Provider } from '../../src/visitors/providers/provider.ts'
import { listen } from '../support/ports.ts'
import { startVisitorLayers, WIKI } from '../support/visitors.ts'

const REDIRECT = 'https://auth.example.test/callback/p'
const STATE = 's'.repeat(22)
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

type Answer = (request: IncomingMessage, body: string) => { readonly status?: number; readonly body: unknown } | undefined
let answer: Answer = () => undefined
const asked: { readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string }[] = []
let issuer = ''

beforeAll(async () => {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let body = ''
    request.on('data', (piece: Buffer) => (body += piece.toString()))
    request.on('end', () => {
      asked.push({ url: request.url ?? '', headers: request.headers, body })
      const { status = 200, body: given } = answer(request, body) ?? { status: 404, body: {} }
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(given))
    })
  })
  issuer = `http://127.0.0.1:${await listen(server)}`
})
afterEach(() => {
  asked.length = 0
})

const configOf = (kind: ProviderKind, more: Partial<ProviderConfig> = {}): ProviderConfig => ({
  name: 'p',
  kind,
  title: 'P',
  issuer,
  clientId: 'client',
  clientSecret: 'secret',
  scopes: [],
  groupsClaim: 'groups',
  keptGroups: undefined,
  keptClaims: [],
  trustsEmail: false,
  ...more,
})

/** A whole login. @param parameters  with which the browser comes back, beside the state */
async function logIn(
  provider: Provider,
  parameters: Record<string, string> = { code: 'c' },
  onBegun: (url: URL) => void = () => undefined,
): Promise<LoginEnd> {
  const { url, secret } = await provider.begin({ redirectUri: REDIRECT, state: STATE, asksAgain: false })
  onBegun(new URL(url))
  const returned = new URL(REDIRECT)
  for (const [name, value] of Object.entries({ state: STATE, ...parameters })) returned.searchParams.set(name, value)
  return provider.finish({ url: returned, form: new Map(), address: '-' }, secret, { state: STATE, redirectUri: REDIRECT })
}

describe('OpenID Connect', () => {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const jwt = (head: object, payload: object, key: KeyObject | string | undefined): string => {
    const text = `${encode(head)}.${encode(payload)}`
    if (key === undefined) return `${text}.`
    const proof = typeof key === 'string' ? createHmac('sha256', key).update(text).digest() : sign('sha256', Buffer.from(text), key)
    return `${text}.${proof.toString('base64url')}`
  }
  const now = (): number => Math.floor(Date.now() / 1000)
  const good = (nonce: string): Record<string, unknown> => ({
    iss: issuer,
    aud: 'client',
    sub: 'ada',
    nonce,
    iat: now(),
    exp: now() + 300,
    email: 'ada@example.io',
    email_verified: true,
    name: 'Ada',
    groups: ['ops'],
  })
  const serve =
    (token: (nonce: string) => string, nonceOf: () => string): Answer =>
    request => {
      const base = { issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` }
      const more = {
        response_types_supported: ['code'],
        id_token_signing_alg_values_supported: ['RS256', 'HS256', 'none'],
        code_challenge_methods_supported: ['S256'],
      }
      if (request.url === '/.well-known/openid-configuration') return { body: { ...base, ...more } }
      if (request.url === '/jwks')
        return { body: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'RS256' }] } }
      if (request.url === '/token') return { body: { access_token: 'a', token_type: 'bearer', id_token: token(nonceOf()) } }
      return undefined
    }
  const logInWith = (token: (nonce: string) => string): Promise<LoginEnd> => {
    let nonce = ''
    answer = serve(token, () => nonce)
    return logIn(new OidcProvider(configOf('oidc'), Date.now), { code: 'c' }, url => (nonce = url.searchParams.get('nonce') ?? ''))
  }
  const RS256 = { alg: 'RS256', kid: 'k', typ: 'JWT' }

  test('lets in by a token that is signed, for us, and new', async () => {
    const end = await logInWith(nonce => jwt(RS256, good(nonce), privateKey))
    expect(end).toMatchObject({ kind: 'person', person: { provider: 'p', subject: 'ada', email: 'ada@example.io', groups: ['ops'] } })
    const { body } = asked.find(({ url }) => url === '/token')!
    expect(new URLSearchParams(body).get('code_verifier')).toMatch(/^[\w-]{43,}$/)
  })

  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  test.each<[string, (nonce: string) => string]>([
    ['without a signature', nonce => jwt({ alg: 'none' }, good(nonce), undefined)],
    ['signed by somebody else', nonce => jwt(RS256, good(nonce), other)],
    ['signed with the public key as a secret', nonce => jwt({ alg: 'HS256', kid: 'k' }, good(nonce), publicPem)],
    ['of another login', () => jwt(RS256, good('another nonce'), privateKey)],
    ['without a nonce', nonce => jwt(RS256, { ...good(nonce), nonce: undefined }, privateKey)],
    ['for another client', nonce => jwt(RS256, { ...good(nonce), aud: 'somebody' }, privateKey)],
    ['of another issuer', nonce => jwt(RS256, { ...good(nonce), iss: 'https://evil.test' }, privateKey)],
    ['that is over', nonce => jwt(RS256, { ...good(nonce), iat: now() - 900, exp: now() - 600 }, privateKey)],
    ['without a subject', nonce => jwt(RS256, { ...good(nonce), sub: undefined }, privateKey)],
    ['whose address is not verified', nonce => jwt(RS256, { ...good(nonce), email_verified: false }, privateKey)],
    ['whose address is verified by a text', nonce => jwt(RS256, { ...good(nonce), email_verified: 'yes' }, privateKey)],
    ['whose address says nothing of that', nonce => jwt(RS256, { ...good(nonce), email_verified: undefined }, privateKey)],
    ['whose address is two', nonce => jwt(RS256, { ...good(nonce), email: 'a@b.test@c.test' }, privateKey)],
    [
      'that was changed',
      nonce => jwt(RS256, good(nonce), privateKey).replace(/\.[^.]+\./, `.${encode({ ...good(nonce), email: 'root@example.io' })}.`),
    ],
  ])('lets nobody in by a token %s', async (_, token) => {
    expect((await logInWith(token)).kind).toBe('failed')
  })

  test('asks Google for an account, since it knows no other way to ask again', async () => {
    answer = serve(
      () => '',
      () => '',
    )
    const promptOf = async (kind: 'google' | 'oidc', asksAgain: boolean): Promise<string | null> => {
      const provider = new OidcProvider(configOf(kind), Date.now)
      return new URL((await provider.begin({ redirectUri: REDIRECT, state: STATE, asksAgain })).url).searchParams.get('prompt')
    }
    expect([await promptOf('google', true), await promptOf('google', false), await promptOf('oidc', true)]).toEqual([
      'select_account',
      null,
      'login',
    ])
  })

  test('lets nobody in with another state, or an answer that says no', async () => {
    answer = serve(
      () => '',
      () => '',
    )
    const provider = new OidcProvider(configOf('oidc'), Date.now)
    expect((await logIn(provider, { code: 'c', state: 'x'.repeat(22) })).kind).toBe('failed')
    expect(await logIn(provider, { error: 'access_denied' })).toMatchObject({ kind: 'failed', failure: 'cancelled' })
  })

  test.each([
    ['that is not there', 'http://127.0.0.1:9', undefined],
    ['that says it is somebody else', undefined, (): ReturnType<Answer> => ({ body: { issuer: 'https://evil.test' } })],
    ['that is broken', undefined, (): ReturnType<Answer> => ({ status: 500, body: {} })],
  ])('tells of a provider %s', async (_, at, given) => {
    answer = given ?? (() => undefined)
    const provider = new OidcProvider(configOf('oidc', at === undefined ? {} : { issuer: at }), Date.now)
    const failure = await provider.begin({ redirectUri: REDIRECT, state: STATE, asksAgain: false }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(GatewayError)
    expect((failure as GatewayError).code).toBe('VISITOR_PROVIDER_AWAY')
    expect((failure as GatewayError).message).not.toContain('secret')
  })
})

describe('GitHub', () => {
  const serve =
    (user: object, emails: unknown): Answer =>
    request => {
      if (request.url === '/login/oauth/access_token') return { body: { access_token: 'token', token_type: 'bearer' } }
      if (request.headers.authorization !== 'Bearer token') return { status: 401, body: {} }
      if (request.url === '/api/v3/user') return { body: user }
      if (request.url === '/api/v3/user/emails?per_page=100') return { body: emails }
      if (request.url === '/api/v3/user/orgs?per_page=100') return { body: [{ login: 'acme' }] }
      return undefined
    }
  const USER = { id: 7, login: 'ada', name: null, email: 'shown@profile.test' }

  test('lets in by the verified primary address, and not by the one that a profile shows', async () => {
    answer = serve(USER, [
      { email: 'second@example.io', primary: false, verified: true },
      { email: 'ada@example.io', primary: true, verified: true },
    ])
    const end = await logIn(new OAuthProvider(configOf('github', { scopes: ['read:org'] })))
    expect(end).toMatchObject({ kind: 'person', person: { subject: '7', email: 'ada@example.io', name: 'ada', groups: ['acme'] } })
    const form = new URLSearchParams(asked.find(({ url }) => url.endsWith('access_token'))!.body)
    expect([form.get('redirect_uri'), form.get('client_secret')]).toEqual([REDIRECT, 'secret'])
  })

  test('binds the code to the login', async () => {
    answer = serve(USER, [])
    let challenge: string | null = null
    await logIn(new OAuthProvider(configOf('github')), { code: 'c' }, url => (challenge = url.searchParams.get('code_challenge')))
    const verifier = new URLSearchParams(asked.find(({ url }) => url.endsWith('access_token'))!.body).get('code_verifier')!
    expect(createHash('sha256').update(verifier).digest('base64url')).toBe(challenge)
  })

  test.each<[string, unknown, unknown, string]>([
    ['an address that is not verified', USER, [{ email: 'ada@example.io', primary: true, verified: false }], 'failed'],
    ['no account', {}, [], 'failed'],
    ['an id that is a text', { id: '7' }, [], 'failed'],
  ])('lets nobody in with %s', async (_, user, emails, kind) => {
    answer = serve(user as object, emails)
    expect((await logIn(new OAuthProvider(configOf('github')))).kind).toBe(kind)
  })

  test('lets nobody in by a code that it refuses, another state, or two of them', async () => {
    answer = () => ({ body: { error: 'bad_verification_code' } })
    const provider = new OAuthProvider(configOf('github'))
    expect((await logIn(provider)).kind).toBe('failed')
    expect((await logIn(provider, { code: 'c', state: 'x' })).kind).toBe('failed')
    const doubled = new URL(`${REDIRECT}?state=${STATE}&state=${STATE}&code=c`)
    expect(
      (await provider.finish({ url: doubled, form: new Map(), address: '-' }, 'v', { state: STATE, redirectUri: REDIRECT })).kind,
    ).toBe('failed')
  })
})

test('Facebook: proves that the token is its own, and takes only the address that it gives', async () => {
  answer = request => {
    if (request.url === '/v21.0/oauth/access_token') return { body: { access_token: 'token' } }
    return request.url?.startsWith('/v21.0/me') === true ? { body: { id: '9', name: 'Ada', email: 'ada@example.io' } } : undefined
  }
  expect(await logIn(new OAuthProvider(configOf('facebook')))).toMatchObject({
    kind: 'person',
    person: { subject: '9', email: 'ada@example.io' },
  })
  const me = new URL(asked.find(({ url }) => url.startsWith('/v21.0/me'))!.url, issuer)
  expect(me.searchParams.get('appsecret_proof')).toBe(createHmac('sha256', 'secret').update('token').digest('hex'))
})

test('Facebook: what it puts behind the address does not stay behind that of the page', async () => {
  const fake = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x')
    if (pathname.endsWith('/dialog/oauth')) {
      const back = `${searchParams.get('redirect_uri')!}?code=c&state=${searchParams.get('state')!}#_=_`
      return void response.writeHead(302, { location: back }).end()
    }
    const body = pathname.endsWith('/access_token') ? { access_token: 'token' } : { id: '9', name: 'Ada', email: 'ada@example.io' }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  const facebook = configOf('facebook', { name: 'company', issuer: `http://127.0.0.1:${await listen(fake)}` })
  const at = await startVisitorLayers(undefined, { config: { providers: new Map([['company', facebook]]) } })
  const { status, way } = await at.browser().go(`${WIKI}/page`)
  expect(status).toBe(200)
  // A browser carries the fragment on until an address has one of its own, if it is an empty one.
  const after = way.slice(way.findIndex(url => url.endsWith('#_=_')) + 1)
  expect(after).toEqual([expect.stringMatching(/^https:\/\/wiki\.example\.test\/\.sg\/session\?code=[^#]+#$/), `${WIKI}/page`])
})
