import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { acceptsHtml } from '../../http/accept.ts'
import type { AcceptedRequest } from '../../http/admission.ts'
import { cookieOf, LOGIN_COOKIE } from '../../http/cookies.ts'
import { markup } from '../../pages/markup.ts'
import { facts, policyOf, renderPage } from '../../pages/page.ts'

/** The time after which somebody is asked once more. */
const LIFETIME_MS = 7 * 86_400_000
const PATH = '/.sg/visit'
/** The page that a person may have come for; longer, they begin at the front page. */
const MAX_PATH = 2_000
const PLACE = /^\/[\x21-\x5b\x5d-\x7e]*$/

/** A request for a host whose first visit is explained. */
export interface InterstitialVisit {
  readonly request: AcceptedRequest
  /** As the client sees it. */
  readonly scheme: string
  /** Canonical. */
  readonly hostname: string
  /** Address for complaints. */
  readonly abuse: string | undefined
}

/** An answer in place of the origin's. */
export interface InterstitialAnswer {
  readonly status: number
  readonly fields: string[]
  readonly body: string
}

/**
 * The page before a browser's first visit of a socket: whose pages these are not. Programs never see it. Who has been there has a cookie with the host, the
 * time and an HMAC over both, whose key is of this process, or of all nodes: after a restart of a process that is alone people read it once more.
 */
export class Interstitial {
  readonly #secret: Buffer

  /** @param clock  milliseconds, rising @param secret  that other processes have as well @param skewMs  the clock that has issued a cookie may be ahead by this */
  constructor(
    private readonly clock: () => number,
    secret?: Buffer,
    private readonly skewMs = 0,
  ) {
    // Of its own, so that no proof of another kind is one of a visit.
    this.#secret = secret === undefined ? randomBytes(32) : createHmac('sha256', secret).update('first visit').digest()
  }

  /** Returns undefined for a request that may go on. */
  answer(visit: InterstitialVisit): InterstitialAnswer | undefined {
    const { request } = visit
    const [path = '', query = ''] = request.target.split('?', 2)
    if (path === PATH) return this.#enter(visit, query)
    if (!isOfPerson(request) || this.#hasCome(visit)) return undefined
    return this.#page(visit)
  }

  #hasCome({ request, hostname, scheme }: InterstitialVisit): boolean {
    const [issued = '', proof = ''] = (cookieOf(request, nameFor(scheme)) ?? '').split('.', 2)
    // Not its characters: a cookie may have some that are longer than a byte.
    const [given, wanted] = [Buffer.from(proof), Buffer.from(this.#proof(hostname, issued))]
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return false
    const ageMs = this.clock() - Number(issued)
    return ageMs >= -this.skewMs && ageMs < LIFETIME_MS
  }

  #proof(hostname: string, issued: string): string {
    return createHmac('sha256', this.#secret).update(`${hostname} ${issued}`).digest('base64url')
  }

  /** A form of our page, and no other, sets the cookie: else a link could. */
  #enter({ request, hostname, scheme }: InterstitialVisit, query: string): InterstitialAnswer {
    const to = placeOf(new URLSearchParams(query).get('to') ?? '')
    const fields = ['Location', to, 'Content-Length', '0', 'Cache-Control', 'no-store']
    if (request.method === 'POST' && isOfOurPage(request)) {
      const issued = String(Math.floor(this.clock()))
      // It lets nobody in, so that it may come along with forms of other sites, which logins and payments end with.
      const sites = scheme === 'https' ? 'SameSite=None; Secure' : 'SameSite=Lax'
      const attributes = `Path=/; Max-Age=${LIFETIME_MS / 1_000}; HttpOnly; ${sites}`
      fields.push('Set-Cookie', `${nameFor(scheme)}=${issued}.${this.#proof(hostname, issued)}; ${attributes}`)
    }
    return { status: 303, fields, body: '' }
  }

  #page({ request, hostname, abuse }: InterstitialVisit): InterstitialAnswer {
    const body = renderPage({
      title: `You are about to visit ${hostname}`,
      body: markup`<p>Somebody publishes an application of their own machine at this address. Whoever runs this gateway has not looked at it.</p>
<p>Go on only if you know who has given you the address. Type no password and nothing personal that you would not tell them.</p>
<form method="post" action="${`${PATH}?to=${encodeURIComponent(placeOf(request.target))}`}"><button>Visit the site</button></form>
${abuse === undefined ? '' : facts([['report abuse to', abuse]])}`,
    })
    const fields = [
      'Content-Type',
      'text/html; charset=utf-8',
      'Content-Length',
      String(Buffer.byteLength(body)),
      'Cache-Control',
      'no-store',
    ]
    // With less, browsers would not say where the form was.
    fields.push('Referrer-Policy', 'same-origin', 'X-Content-Type-Options', 'nosniff', 'Content-Security-Policy', policyOf("'self'"))
    return { status: 200, fields, body }
  }
}

const nameFor = (scheme: string): string => `${scheme === 'https' ? '__Host-' : ''}${LOGIN_COOKIE}visit`

/** Only a path of this host. */
const placeOf = (text: string): string =>
  text.length <= MAX_PATH && PLACE.test(text) && !text.startsWith('//') && !text.startsWith('/.sg/') ? text : '/'

const valueOf = ({ fields, names }: AcceptedRequest, wanted: string): string | undefined => {
  const at = names.indexOf(wanted)
  return at < 0 ? undefined : fields[2 * at + 1]
}

/** A browser that goes to a page, in a frame as well: there it shows nothing. By a form as well, or a page with one would be a way around. */
function isOfPerson(request: AcceptedRequest): boolean {
  if (request.upgrades !== undefined) return false
  const mode = valueOf(request, 'sec-fetch-mode')
  return mode === undefined ? request.method === 'GET' && acceptsHtml(valueOf(request, 'accept')) : mode === 'navigate'
}

/** Fetch metadata, or Origin where there is none: over http to other machines browsers send no metadata. */
function isOfOurPage(request: AcceptedRequest): boolean {
  const site = valueOf(request, 'sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  const origin = valueOf(request, 'origin') ?? ''
  return URL.canParse(origin) && new URL(origin).host === request.host.toLowerCase().replace(/:(?:80|443)$/, '')
}
