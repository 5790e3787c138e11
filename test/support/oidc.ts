/** A real OpenID provider (`oidc-provider`) on this machine, at which whoever comes is the person that the test says. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateKeyPairSync } from 'node:crypto'
import { onCleanUp } from './cleanup.ts'

/** A person at the provider. */
export interface OidcPerson {
  readonly sub: string
  readonly email?: string
  readonly email_verified?: boolean
  readonly name?: string
  readonly groups?: readonly string[]
  readonly [claim: string]: unknown
}

/** The running provider. */
export interface OidcServer {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Who the next one is; undefined: somebody who cancels. */
  person: OidcPerson | undefined
  /** Requests for the page of the login. */
  readonly logins: number
  /** Sends the browser back otherwise than the provider would. */
  alter: ((location: URL) => void) | undefined
  close(): Promise<void>
}

interface Grant {
  addOIDCScope(scope: string): void
  save(): Promise<void>
}

interface GrantContext {
  readonly oidc: {
    readonly client: { readonly clientId: string }
    readonly session: { readonly accountId: string }
    readonly provider: { readonly Grant: new (of: { readonly clientId: string; readonly accountId: string }) => Grant }
  }
}

/** Starts a provider. @param redirectUris  of the gateway */
export async function startOidc(redirectUris: readonly string[]): Promise<OidcServer> {
  const { default: Provider } = await quietly(() => import('oidc-provider'))
  let listener: RequestListener = (_, response) => response.end()
  const server: Server = createServer((request, response) => listener(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const people = new Map<string, OidcPerson>()
  const state = { person: undefined as OidcPerson | undefined, logins: 0, alter: undefined as OidcServer['alter'] }
  const provider = await quietly(() =>
    Promise.resolve(
      new Provider(issuer, {
        clients: [
          {
            client_id: 'gateway',
            client_secret: 'secret of the gateway',
            redirect_uris: redirectUris,
            post_logout_redirect_uris: [...new Set(redirectUris.map(uri => `${new URL(uri).origin}/logged-out`))],
          },
        ],
        jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'RS256' }] },
        cookies: { keys: ['for tests'] },
        ttl: { AccessToken: 3_600, AuthorizationCode: 60, Grant: 3_600, IdToken: 3_600, Interaction: 3_600, Session: 3_600 },
        features: {
          devInteractions: { enabled: false },
          rpInitiatedLogout: {
            enabled: true,
            logoutSource: (answer: { body: string }, form: string) => void (answer.body = `<body>${form}</body>`),
          },
        },
        claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups', 'department'] },
        interactions: { url: (_: unknown, { uid }: { uid: string }) => `/people/${uid}` },
        findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => people.get(id) ?? { sub: id } }),
        // Nobody is asked what the gateway may know.
        loadExistingGrant: async ({ oidc }: GrantContext) => {
          const { client, provider: own, session } = oidc
          const grant = new own.Grant({ clientId: client.clientId, accountId: session.accountId })
          grant.addOIDCScope('openid email profile')
          await grant.save()
          return grant
        },
      }),
    ),
  )
  const serve = provider.callback()
  listener = (request, response) => {
    if (request.url?.startsWith('/people/') !== true) {
      const { alter } = state
      if (alter !== undefined) {
        const writeHead = response.writeHead.bind(response)
        response.writeHead = ((...args: Parameters<typeof writeHead>) => {
          const location = response.getHeader('location')
          if (typeof location === 'string' && location.includes('/callback/')) {
            const url = new URL(location)
            alter(url)
            response.setHeader('location', url.href)
          }
          return writeHead(...args)
        }) as typeof response.writeHead
      }
      serve(request, response)
      return
    }
    const { person } = state
    state.logins++
    if (person !== undefined) people.set(person.sub, person)
    const result =
      person === undefined ? { error: 'access_denied', error_description: 'nobody' } : { login: { accountId: person.sub, remember: false } }
    provider.interactionFinished(request, response, result).catch(() => response.destroy())
  }
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  onCleanUp(close)
  return {
    issuer,
    clientId: 'gateway',
    clientSecret: 'secret of the gateway',
    get person() {
      return state.person
    },
    set person(person) {
      state.person = person
    },
    get logins() {
      return state.logins
    },
    get alter() {
      return state.alter
    },
    set alter(alter) {
      state.alter = alter
    },
    close,
  }
}

/** It warns on old releases of Node.js, and of choices that suit a test. */
async function quietly<T>(make: () => Promise<T>): Promise<T> {
  const { console: out } = globalThis
  const { warn, info } = out
  out.warn = out.info = () => undefined
  try {
    return await make()
  } finally {
    Object.assign(out, { warn, info })
  }
}
