/*
 * Logins for programs, as RFC 8628 has them: the program shows an address and a code, its user logs in with a browser on any machine and
 * says yes, and the program, which asks meanwhile, gets a token.
 *
 *   POST /device/authorize   scope: HOST:PORT of the tunnels, blanks between them; resource: URL of the gateway  → device_code, user_code, verification_uri
 *   GET  /device             ?code=…                                               the page
 *   POST /device/token       grant_type, device_code; wait: seconds, up to 25      → access_token, or an error
 */
import { addressKey } from '../../address/address-key.ts'
import type { OwnAnswer } from '../../outer/access/visitor-check.ts'
import type { SharedByVisitors } from '../shared.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import { parseTunnelName } from '../../route/tunnel.ts'
import { parametersOf } from '../fields.ts'
import type { Page, PageCall } from '../page.ts'
import type { DevicePages } from '../pages/device-pages.ts'
import { sealDeviceToken } from '../session/device-token.ts'
import type { Seal } from '../session/seal.ts'
import type { Session } from '../session/session.ts'
import { atAuthHost, newSessionId } from '../session/sessions.ts'
import { DEVICE_SECONDS, DeviceRequests, readUserCode, type DeviceRequest } from './device-requests.ts'
import { authScheme, type LoginContext } from './login-context.ts'
import { isOfOwnPage } from './own-page.ts'
import { redirect } from './redirect.ts'

/** The path where programs begin. */
export const DEVICE_AUTHORIZE = '/device/authorize'
const TOKEN = '/device/token'
const PAGE = '/device'
const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:device_code'
const MAX_FORM_BYTES = 8_192
const MAX_TUNNELS = 50
const MAX_WAIT_S = 25
/** Seconds between two questions of a program that does not wait. */
const INTERVAL_S = 5
/** Programs of one address. */
const BEGINNINGS = { perSecond: 1 / 6, burst: 20 } as const
/** Codes of one address that are none. */
const WRONG_CODES = { perSecond: 1 / 10, burst: 10 } as const

/** The parts of the login for programs. */
export interface DeviceLoginParts {
  readonly seal: Seal
  readonly pages: DevicePages
  /** ms, rising */
  readonly steady: () => number
  /** Of all processes; undefined: this one is alone. */
  readonly shared: SharedByVisitors | undefined
}

/** Lets people log in for programs that have no browser. */
export class DeviceLogin {
  readonly #requests: DeviceRequests
  readonly #beginnings: RateMeter
  readonly #wrong: RateMeter

  constructor(
    private readonly context: LoginContext,
    private readonly parts: DeviceLoginParts,
  ) {
    const { steady, shared } = parts
    this.#requests = new DeviceRequests(context.clock, shared?.peers)
    this.#beginnings = shared?.counts.meter('logins of programs', BEGINNINGS) ?? new RateMeter(BEGINNINGS, steady)
    this.#wrong = shared?.counts.meter('codes that are none', WRONG_CODES) ?? new RateMeter(WRONG_CODES, steady)
  }

  get pages(): readonly Page[] {
    const form = { place: 'auth', method: 'POST', maxBodyBytes: MAX_FORM_BYTES } as const
    return [
      { ...form, path: DEVICE_AUTHORIZE, answer: call => this.#begin(call) },
      { ...form, path: TOKEN, answer: call => this.#poll(call) },
      { place: 'auth', path: PAGE, method: 'GET', answer: call => this.#ask(call) },
      { ...form, path: PAGE, answer: call => this.#decide(call) },
    ]
  }

  // --- the program ---

  #begin(call: PageCall): OwnAnswer {
    const waitMs = this.#beginnings.take(addressKey(call.client.address))
    if (waitMs > 0) return json(429, { error: 'slow_down' }, ['Retry-After', String(Math.ceil(waitMs / 1000))])
    const tunnels = tunnelsIn(formOf(call).get('scope') ?? '')
    if (tunnels === undefined)
      return json(400, { error: 'invalid_scope', error_description: `expected up to ${MAX_TUNNELS} names of tunnels such as db.lan:5432` })
    const gateway = hostIn(formOf(call).get('resource'))
    const begun = this.#requests.begin({ tunnels, address: call.client.address, gateway })
    if (begun === undefined) return json(503, { error: 'temporarily_unavailable' }, ['Retry-After', '60'])
    const { deviceCode, request } = begun
    const page = this.context.config().authUrl + PAGE
    return json(200, {
      device_code: deviceCode,
      user_code: request.userCode,
      verification_uri: page,
      verification_uri_complete: `${page}?code=${request.userCode}`,
      expires_in: DEVICE_SECONDS,
      interval: INTERVAL_S,
    })
  }

  async #poll(call: PageCall): Promise<OwnAnswer> {
    const form = formOf(call)
    if (form.get('grant_type') !== GRANT_TYPE) return json(400, { error: 'unsupported_grant_type' })
    const seconds = Number(form.get('wait') ?? 0)
    const waitMs = seconds > 0 ? Math.min(seconds, MAX_WAIT_S) * 1000 : 0
    const result = await this.#requests.poll(form.get('device_code') ?? '', waitMs)
    if (typeof result === 'string') return json(400, { error: result })
    const { token, expiresMs } = result
    const lastsS = Math.max(0, Math.floor((expiresMs - this.context.clock()) / 1000))
    return json(200, { access_token: token, token_type: 'Bearer', expires_in: lastsS })
  }

  // --- the person ---

  #ask(call: PageCall): OwnAnswer {
    const { pages } = this.parts
    const text = call.parameters.get('code') ?? ''
    const session = this.#sessionOf(call)
    if (session === undefined) return redirect(this.#loginUrl(text, false), [], 303)
    if (text === '') return pages.enter(call, { isWrong: false })
    const request = this.#find(call, text)
    if (request === undefined) return pages.enter(call, { isWrong: true })
    if (request === 'limited') return this.#limited(call)
    return pages.confirm(call, { ...request, who: nameOf(session), switchUrl: this.#loginUrl(text, true) })
  }

  #decide(call: PageCall): OwnAnswer {
    const { onEvent, config, clock, pages: others } = this.context
    const { pages, seal } = this.parts
    if (!isOfOwnPage(call))
      return { ...others.refused(call, 'VISITOR_CROSS_SITE'), refusal: { code: 'VISITOR_CROSS_SITE', reason: 'a form of another site' } }
    const form = formOf(call)
    const text = form.get('code') ?? ''
    const session = this.#sessionOf(call)
    if (session === undefined) return redirect(this.#loginUrl(text, false), [], 303)
    const request = this.#find(call, text)
    if (request === undefined) return pages.enter(call, { isWrong: true })
    if (request === 'limited') return this.#limited(call)
    const isAllowed = form.get('decision') === 'allow'
    const { person, loginId, loggedInMs, atProvider } = session
    const { tunnels, userCode, address: program } = request
    const own: Session = { person, loginId, id: newSessionId(), loggedInMs, seenMs: clock(), atProvider }
    const token = (): string => sealDeviceToken(seal, config().authHost, { session: own, tunnels })
    this.#requests.decide(userCode, isAllowed ? { token: token(), expiresMs: loggedInMs + config().sessionMs } : 'access_denied')
    const { address } = call.client
    onEvent({ kind: 'device', provider: person.provider, who: nameOf(session), address, program, tunnels, isAllowed })
    return pages.decided(call, isAllowed)
  }

  #find(call: PageCall, text: string): DeviceRequest | 'limited' | undefined {
    const address = addressKey(call.client.address)
    if (this.#wrong.wait(address) > 0) return 'limited'
    const code = readUserCode(text)
    const request = code === undefined ? undefined : this.#requests.find(code)
    if (request === undefined) this.#wrong.take(address)
    return request
  }

  #limited(call: PageCall): OwnAnswer {
    const answer = this.context.pages.refused(call, 'RATE_LIMITED', undefined, ['Retry-After', '60'])
    return { ...answer, refusal: { code: 'RATE_LIMITED', reason: 'too many codes of this address that are none' } }
  }

  /** The newest login of the browser here. */
  #sessionOf({ request }: PageCall): Session | undefined {
    const { sessions, config } = this.context
    const at = { request, host: config().authHost, scheme: authScheme(config()) }
    const known = [...config().providers.keys()].map(name => sessions.find(at, atAuthHost(name))?.session)
    return known.reduce((newest, each) => ((each?.loggedInMs ?? 0) > (newest?.loggedInMs ?? 0) ? each : newest), undefined)
  }

  /** Where somebody logs in and comes back. @param isFresh  ask who it is, even if that is known */
  #loginUrl(code: string, isFresh: boolean): string {
    const { tickets, config } = this.context
    const { authHost: host, authUrl: origin } = config()
    const path = code === '' ? PAGE : `${PAGE}?code=${encodeURIComponent(code.slice(0, 40))}`
    const wish = tickets.sealWish({ host, origin, path, providers: null, browser: '', sessionMs: null, isFresh }, host)
    return `${origin}/login?wish=${encodeURIComponent(wish)}`
  }
}

const nameOf = ({ person }: Session): string => person.email ?? person.name ?? person.subject

const formOf = ({ body }: PageCall): ReadonlyMap<string, string> => parametersOf(body.toString('utf8'))

/** The tunnels of a scope, canonical; undefined where one is none. */
function tunnelsIn(scope: string): readonly string[] | undefined {
  const names = scope.split(' ').filter(name => name !== '')
  if (names.length === 0 || names.length > MAX_TUNNELS) return undefined
  try {
    return [...new Set(names.map(name => parseTunnelName(name).name))]
  } catch {
    return undefined
  }
}

/** The host of a URL that a program names; whoever logs in sees it. */
const hostIn = (text: string | undefined): string | undefined =>
  text !== undefined && text.length <= 300 && URL.canParse(text) ? new URL(text).host : undefined

function json(status: number, value: object, more: readonly string[] = []): OwnAnswer {
  const body = `${JSON.stringify(value)}\n`
  return {
    status,
    fields: [
      ...['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(body))],
      ...['Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff', ...more],
    ],
    body,
  }
}
