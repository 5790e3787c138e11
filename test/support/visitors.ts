/** Layers with logins: a gateway, an origin that says what it gets, and a provider. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import type { ProviderConfig, VisitorsConfig } from '../../src/visitors/config.ts'
import { createVisitors, type CreatedVisitors, type VisitorsOptions } from '../../src/visitors/check/create-visitors.ts'
import type { LoginEvent } from '../../src/visitors/login-event.ts'
import { createKeyText, readKeys, type KeyRing } from '../../src/visitors/session/key-ring.ts'
import type { Revocation } from '../../src/visitors/session/revocations.ts'
import { Browser } from './browser.ts'
import { onCleanUp } from './cleanup.ts'
import { startLayers, type Layers, type LayersOptions } from './layers.ts'
import { startOidc, type OidcServer } from './oidc.ts'

export const AUTH = 'auth.example.test'

/** A request as the origin got it. */
export interface OriginSaw {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[]
  readonly trailers: NodeJS.Dict<string>
}

export interface VisitorLayers {
  readonly layers: Layers
  readonly oidc: OidcServer
  readonly visitors: CreatedVisitors
  readonly originPort: number
  readonly saw: OriginSaw[]
  readonly events: LoginEvent[]
  readonly persisted: Revocation[]
  /** May be changed while it runs. */
  config: VisitorsConfig
  keys: KeyRing
  /** Milliseconds that the clock of the logins is ahead. */
  aheadMs: number
  browser(): Browser
}

const EMPTY = { scopes: [], groupsClaim: 'groups', keptGroups: undefined, keptClaims: ['department'], trustsEmail: false } as const

/** A wiki for some, a board for one group, and something for all. */
export const TARGETS = `
targets:
  wiki.example.test:
    { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { provider: company, emails: [ada@example.io], domains: [corp.test] }, public: ['/open', '^/hooks/.*'] } }
  board.example.test:
    { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { groups: [ops] } } }
  apps.example.test:
    { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { emails: [ada@example.io], origins: ['https://app.test'] } } }
  free.example.test: { protocol: http, hostname: 127.0.0.1, port: {port} }
`
export const WIKI = 'https://wiki.example.test'
export const BOARD = 'https://board.example.test'
/** Who may come to both. */
export const ADA = { sub: 'ada', email: 'ada@example.io', email_verified: true, name: 'Ada Lovelace', groups: ['ops', 'maths'] } as const

/** @param targets  with `{port}` for that of the origin */
export async function startVisitorLayers(
  targets = TARGETS,
  options: {
    readonly visitors?: Partial<VisitorsOptions>
    readonly config?: Partial<VisitorsConfig>
    readonly layers?: LayersOptions
  } = {},
): Promise<VisitorLayers> {
  const saw: OriginSaw[] = []
  const origin = createServer((request, response) => {
    request.resume().on('end', () => {
      saw.push({
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        trailers: request.trailers,
      })
      response.setHeader('content-type', 'text/plain')
      if (request.url === '/endless') return void response.write('begun')
      response.end(`origin ${request.url}`)
    })
  })
  const sockets = new WebSocketServer({ noServer: true })
  sockets.on('connection', socket => socket.on('message', data => socket.send(data)))
  origin.on('upgrade', (request, socket, head) => {
    saw.push({ method: 'GET', path: request.url ?? '', headers: request.headers, rawHeaders: request.rawHeaders, trailers: {} })
    if (request.url === '/ws') sockets.handleUpgrade(request, socket, head, opened => sockets.emit('connection', opened))
    else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
  })
  await new Promise<void>(resolve => origin.listen(0, '127.0.0.1', resolve))
  onCleanUp(() => {
    origin.closeAllConnections()
    origin.close()
  })
  const oidc = await startOidc([`https://${AUTH}/callback/company`, `https://${AUTH}/callback/partner`])
  const provider = (name: string): ProviderConfig => ({
    ...EMPTY,
    name,
    kind: 'oidc',
    title: `The ${name}`,
    issuer: oidc.issuer,
    clientId: oidc.clientId,
    clientSecret: oidc.clientSecret,
  })
  const events: LoginEvent[] = []
  const persisted: Revocation[] = []
  const state = {
    config: {
      authUrl: `https://${AUTH}`,
      authHost: AUTH,
      keysFile: '',
      revokedFile: '',
      name: 'Example',
      logo: undefined,
      sessionMs: 8 * 3_600_000,
      idleMs: 0,
      providers: new Map([['company', provider('company')]]),
      socketProviders: ['company'],
      ...options.config,
    } satisfies VisitorsConfig,
    keys: readKeys(createKeyText(Date.now())),
    aheadMs: 0,
  }
  const visitors = createVisitors({
    config: () => state.config,
    keys: () => state.keys,
    persist: async revocation => void persisted.push(revocation),
    clock: () => Date.now() + state.aheadMs,
    attempts: { perSecond: 1_000, burst: 1_000 },
    onEvent: event => events.push(event),
    onFault: thrown => {
      throw thrown
    },
    ...options.visitors,
  })
  onCleanUp(() => visitors.close())
  const { port: originPort } = origin.address() as AddressInfo
  const layers = await startLayers({
    ...options.layers,
    origin: originPort,
    targets,
    outer: { ...options.layers?.outer, visitors: visitors.check },
  })
  return Object.assign(state, { layers, oidc, visitors, originPort, saw, events, persisted, browser: () => new Browser(layers.port) })
}
