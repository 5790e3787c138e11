import { json, type Express, type Request, type RequestHandler, type Response } from 'express'
import { z } from 'zod'
import { createConsole } from '../../console/console-files.ts'
import { faultOfSender } from '../../console/sender.ts'
import { GatewayError } from '../../errors.ts'
import type { Sessions } from '../../service/contract.ts'
import { ServiceError } from '../../service/input/service-error.ts'

/** The portal: the console for users of the service, at a host of its own. */
export interface PortalOptions {
  /** Name of the host. */
  readonly host: string
  /** Does it come by HTTPS? */
  readonly isSecure: boolean
  /** Names that its pages show. */
  readonly service: { readonly zone: string; readonly api: string; readonly ssh?: string }
  /** Providers by whom people log in, whom the gateway asks before it lets anybody in at `/portal/sign-in/NAME`. */
  readonly providers?: readonly { readonly name: string; readonly title: string }[]
}

const credentials = z.strictObject({ email: z.string().min(1).max(254), password: z.string().min(1).max(1_000) })
const MAX_BODY = '4kb'
/** Characters of a token; longer cookies are none of ours. */
const MAX_TOKEN = 4_096
const SESSION = '/portal/session'
const REFRESH = '/portal/session/refresh'
const SIGN_IN = '/portal/sign-in/'
/** The field in which the gateway says whose address a provider vouches for; what clients say in it, nobody ever sees. */
const WHO = 'x-auth-email'

/**
 * Serves the console at the host of the portal. The token of a login is in a cookie that no script can read and that comes with requests of the very
 * same site alone; at the host of the API there are no cookies. A request with it counts when it comes from the pages of the portal: a change needs a
 * field that pages of other origins cannot send without asking first.
 */
export function portalPages(app: Express, { host, isSecure, service, providers = [] }: PortalOptions, context: PortalContext): void {
  const cookie = isSecure ? '__Host-sg-portal' : 'sg-portal'
  const files = createConsole(() => ({ role: 'user', features: [], service, providers }))
  const setCookie = (res: Response, value: string, seconds: number): void => {
    const attributes = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${isSecure ? '; Secure' : ''}`
    res.setHeader('Set-Cookie', `${cookie}=${value}; ${attributes}`)
  }
  const keep = (res: Response, token: string, expiresAt: number): void => {
    setCookie(res, token, secondsUntil(expiresAt))
    res.status(200).json({ expiresAt: new Date(expiresAt).toISOString() })
  }
  /** Whom the gateway has let in by a provider gets the login of their account, or is told that there is none. */
  const signIn = async (req: Request, res: Response, provider: string): Promise<void> => {
    const email = req.headers[WHO]
    const session = typeof email === 'string' ? await context.sessions.vouched({ email, provider }, context.addressOf(req)) : undefined
    if (session !== undefined) setCookie(res, session.token, secondsUntil(session.expiresAt))
    res.redirect(303, session === undefined ? '/#/no-account' : '/')
  }
  const isHere = (req: Request): boolean => hostOf(req) === host.toLowerCase()
  const readBody = json({ limit: MAX_BODY, type: () => true })
  const only =
    (handle: (req: Request, res: Response) => Promise<void> | void): RequestHandler =>
    async (req, res, next) => {
      if (!isHere(req)) return next()
      refuseOthers(req)
      await handle(req, res)
    }
  app.use((req, res, next) => {
    if (!isHere(req)) return next()
    if (files(req, res)) return
    const token = tokenIn(req.headers.cookie, cookie)
    // As it is written: for other spellings the gateway has asked nobody.
    const provider = providers.find(({ name }) => req.path === SIGN_IN + name)
    if (provider !== undefined && req.method === 'GET') return void signIn(req, res, provider.name).catch(next)
    if (!req.path.startsWith('/api/v1/'))
      return next(req.path === SESSION || req.path === REFRESH ? undefined : new GatewayError('NOT_FOUND', 'no such path'))
    if (req.headers.authorization === undefined && token !== undefined) {
      refuseOthers(req)
      req.headers.authorization = `Bearer ${token}`
    }
    next()
  })
  app.post(
    SESSION,
    readBody,
    only(async (req, res) => {
      const parsed = credentials.safeParse(req.body)
      if (!parsed.success) throw new GatewayError('INVALID', 'expected email and password')
      const { token, expiresAt } = await context.sessions.login(parsed.data, context.addressOf(req))
      keep(res, token, expiresAt)
    }),
  )
  app.post(
    REFRESH,
    only(async (req, res) => {
      const token = tokenIn(req.headers.cookie, cookie)
      if (token === undefined) throw new GatewayError('UNAUTHENTICATED', 'no login')
      const refreshed = await context.sessions.refresh(await context.sessions.authenticate(token, context.addressOf(req)))
      keep(res, refreshed.token, refreshed.expiresAt)
    }),
  )
  app.delete(
    SESSION,
    only((_req, res) => {
      setCookie(res, '', 0)
      res.status(204).end()
    }),
  )
}

/** The parts of the service that the portal itself uses. */
export interface PortalContext {
  readonly sessions: Pick<Sessions, 'login' | 'vouched' | 'authenticate' | 'refresh'>
  /** Address of the client. */
  readonly addressOf: (req: Request) => string
}

/** @throws ServiceError FORBIDDEN for what does not come from the pages of the portal */
function refuseOthers(req: Request): void {
  const isChange = req.method !== 'GET' && req.method !== 'HEAD'
  const site = req.headers['sec-fetch-site']
  const isOther = isChange
    ? faultOfSender(req) !== undefined || req.headers['x-requested-with'] !== 'console'
    : site !== undefined && site !== 'same-origin'
  if (isOther)
    throw new ServiceError(
      'FORBIDDEN',
      'This login counts for requests of the pages of the portal alone; programs send Authorization: Bearer TOKEN.',
    )
}

const secondsUntil = (ms: number): number => Math.max(1, Math.floor((ms - Date.now()) / 1_000))

const hostOf = (req: Request): string => (req.headers.host ?? '').toLowerCase().replace(/:\d{1,5}$/, '')

function tokenIn(field: string | undefined, name: string): string | undefined {
  for (const pair of (field ?? '').split(';')) {
    const equals = pair.indexOf('=')
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue
    const value = pair.slice(equals + 1).trim()
    return value !== '' && value.length <= MAX_TOKEN && /^[\w.~+/=-]+$/.test(value) ? value : undefined
  }
  return undefined
}
